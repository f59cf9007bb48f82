#!/bin/sh
# Checks the package of Arch with pacman's own tools, and installs and removes it below an empty root.
# In: the directory that build.sh has made.
set -eu
[ -x /bin/busybox ] || apt-get install -qq -y --no-install-recommends busybox-static > /dev/null
package=$(echo "$1"/*.pkg.tar.*)
version=$(sed -n 's/^pkgver=//p' packaging/arch/PKGBUILD)
here=$(dirname "$0")
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
. "$here/../package.sh"

pacman_in_root() {
    pacman --root "$root" --dbpath "$root/var/lib/pacman" --cachedir "$root/var/cache" --logfile /dev/null --noconfirm "$@"
}

for line in "pkgver = $version" "install = nixos-nspawn.install" "arch = x86_64" "license = MIT" "depends = systemd>=257" \
    "makedepends = cargo"; do
    grep -qxF "	$line" "$1/.SRCINFO" || fail ".SRCINFO: no line '$line'"
done
same "version" "nixos-nspawn $version-1" "$(pacman -Qp "$package")"
same "owners" "root root" "$(bsdtar -tvf "$package" | awk '{ print $3, $4 }' | sort -u)"
same "files that others can write" "" "$(bsdtar -tvf "$package" | grep '^[^l]....\(w\|...w\)' || :)"

make_root
mkdir -p "$root/var/lib/pacman" "$root/var/cache" "$root/tmp"
# The database names no package, so nothing that is depended on is there.
pacman_in_root -U --nodeps --nodeps "$package" > "$temporary/said" 2>&1 || { cat "$temporary/said" >&2; fail "is not installed"; }
[ ! -e "$calls" ] || fail "its installation calls systemctl: $(cat "$calls")"
pacman_in_root -Qkk nixos-nspawn > "$temporary/said" 2>&1 || { cat "$temporary/said" >&2; fail "pacman -Qkk finds differences"; }
same_as_make_install /usr/lib/nixos-nspawn/unit-helper /usr/share/licenses/nixos-nspawn/LICENSE

pacman_in_root -R --nodeps --nodeps nixos-nspawn > "$temporary/said" 2>&1 || { cat "$temporary/said" >&2; fail "is not removed"; }
same_after_removal "$(grep -A 1 '^Containers' "$temporary/said")"
same "calls of systemctl at the removal" "--quiet disable --now nixos-nspawn-update.timer
--quiet is-active systemd-nspawn@web.service" "$(cat "$calls")"

sha256sum "$package"
echo "makepkg and pacman found no fault"
