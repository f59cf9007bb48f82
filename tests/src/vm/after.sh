# Prints what must never be true after a power cut, one line each, before any command of ours runs. Compares files and
# Nix's database.
profiles=/nix/var/nix/profiles/per-nspawn
roots=/nix/var/nix/gcroots/nixos-nspawn
recorded=
for intent in /etc/nixos-nspawn/*.json; do
    name=$(basename "$intent" .json)
    [ "$name" != host ] || continue
    bad() { echo "$name: $*"; }
    toplevel=$(jq -er .toplevel "$intent" 2>&1) || { bad "the intent does not parse: $toplevel"; continue; }
    [ -s "$toplevel/init" ] || bad "$toplevel/init is missing or empty"
    generation=$(readlink -f "$profiles/$name/system") || bad "the profile is a dangling link"
    [ "$(readlink "$roots/$name")" = "$toplevel" ] || [ "$(readlink -f "$generation/init")" = "$toplevel/init" ] ||
        bad "$toplevel has no root"
    recorded="$recorded $toplevel $generation"
done
# Nix knows everything that is recorded, with these contents. The host's programs are in the image, and take long.
# shellcheck disable=SC2086 # one word per path
if paths=$(nix-store --query --requisites $recorded 2>&1); then
    said=$(nix-store --verify-path $(echo "$paths" | grep -v -- -host-userland) 2>&1) || echo "the store: $said"
else
    echo "Nix does not know $recorded: $paths"
fi
