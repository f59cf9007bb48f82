# Prints disagreements about the containers named as arguments, one line each. Compares files, PID 1 and the containers
# themselves, and never asks nixos-nspawn.
profiles=/nix/var/nix/profiles/per-nspawn
roots=/nix/var/nix/gcroots/nixos-nspawn
generator=/usr/local/lib/systemd/system-generators/nixos-nspawn-generator
out=/run/systemd/generator

one() {
    intent=/etc/nixos-nspawn/$name.json
    unit=systemd-nspawn@$name.service
    bad() { echo "$name: $*"; }
    for left in $(find /etc/nixos-nspawn -name ".$name.*" -o -name "..$name.*") \
        $(find $roots -name ".$name.new" -o -name ".$name-*.new") \
        $(find /nix/var/nix/gcroots/auto -lname "$profiles/$name/pending"); do
        bad "left behind: $left"
    done
    state=$(systemctl show --value -p ActiveState "$unit")
    if ! [ -e "$intent" ]; then
        for left in "$profiles/$name" "$roots/$name" "$roots/$name-running" "$out/$unit.d" "$out/nixos-nspawn/$name.nspawn"; do
            ! [ -e "$left" ] && ! [ -L "$left" ] || bad "is not recorded, and there is $left"
        done
        [ "$state" = inactive ] || {
            bad "is not recorded, and $state"
            journalctl --no-pager --output=short-monotonic --lines=25 --unit "$unit"
        }
        return
    fi
    toplevel=$(jq -er .toplevel "$intent") || bad "the intent does not parse"
    generation=$(jq -er .generation "$intent") || bad "the intent has no generation"
    [ -e "$toplevel/init" ] || bad "$toplevel is gone"
    [ "$(readlink "$roots/$name")" = "$toplevel" ] || bad "$toplevel has no root of ours"
    [ "$(readlink "$profiles/$name/system")" = "system-$generation-link" ] || bad "the profile is at another generation"
    [ "$(readlink -f "$profiles/$name/system/init")" = "$toplevel/init" ] || bad "the profile has another system"
    ! [ -L "$profiles/$name/pending" ] || bad "left behind: pending"
    [ "$(systemctl show --value -p NeedDaemonReload "$unit")" = no ] || bad "PID 1 has another plan"
    [ "$state" = active ] || { bad "is $state"; return; }
    leader=$(machinectl show "$name" -P Leader) || { bad "machined does not know it"; return; }
    inside=$(nsenter -t "$leader" -a -- readlink /run/current-system) || bad "cannot be asked"
    [ "$inside" = "$toplevel" ] || bad "runs $inside instead of $toplevel"
}

for name; do one; done

# PID 1 has loaded what the generator writes now.
rm -rf /run/fresh
mkdir -p /run/fresh/normal /run/fresh/early /run/fresh/late
"$generator" /run/fresh/normal /run/fresh/early /run/fresh/late || echo "the generator fails"
cd /run/fresh/normal
find . ! -type d | while read -r path; do
    if [ -L "$path" ]; then
        [ "$(readlink "$path")" = "$(readlink "$out/$path")" ] || echo "PID 1 has another link $path"
    else
        cmp -s "$path" "$out/$path" || echo "PID 1 has another $path"
    fi
done
cd $out
find . ! -type d \( -path '*nixos-nspawn*' -o -path '*systemd-nspawn@*' \) | while read -r path; do
    [ -e "/run/fresh/normal/$path" ] || [ -L "/run/fresh/normal/$path" ] || echo "PID 1 still has $path"
done
