# Prints what is wrong right after a boot, one line each: units that failed, and containers that should run with what is
# recorded and do not, or the other way round.
systemctl list-units --failed --plain --no-legend | sed 's/^/failed: /'
for intent in /etc/nixos-nspawn/*.json; do
    name=$(basename "$intent" .json)
    [ "$name" != host ] || continue
    wanted=$(jq -r '[.autostart, .container.activation.autoStart, true] | map(select(. != null)) | first' "$intent")
    state=$(systemctl show --value -p ActiveState "systemd-nspawn@$name.service")
    case $wanted-$state in
        true-active)
            inside=$(nsenter -t "$(machinectl show "$name" -P Leader)" -a -- readlink /run/current-system)
            [ "$inside" = "$(jq -r .toplevel "$intent")" ] || echo "$name runs '$inside'"
            ;;
        false-inactive) ;;
        *) echo "$name is $state, and its start with the host is '$wanted'" ;;
    esac
done
