#!/bin/sh
# Checks the RPM package with rpm's own tools, and installs, upgrades and erases it below an empty root.
# In: the directories of two builds of the package, which are to be identical.
set -eu
command -v rpmlint > /dev/null || apt-get install -qq -y --no-install-recommends rpmlint > /dev/null
[ -x /bin/busybox ] || apt-get install -qq -y --no-install-recommends busybox-static > /dev/null
package=$(echo "$1"/*.rpm)
version=$(sed -n 's/^Version: *//p' packaging/rpm/nixos-nspawn.spec)
here=$(dirname "$0")
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
. "$here/../package.sh"

rpm_in_root() {
    rpm --root "$root" --dbpath /var/lib/rpm "$@"
}
# Debian warns of packages that its own tools do not know.
change() {
    rpm_in_root --force-debian --nodeps "$@"
}

cmp "$package" "$(echo "$2"/*.rpm)"
rpm -K "$package" | grep -q ': digests OK$' || fail "rpm -K finds damage"
rpmlint --strict --config "$here/rpmlint.toml" "$package" packaging/rpm/nixos-nspawn.spec > "$temporary/lint" ||
    { cat "$temporary/lint" >&2; fail "rpmlint finds faults"; }
same "requirements" "/bin/sh
systemd >= 257
systemd-container >= 257" "$(rpm -qpR "$package" | grep -v '^rpmlib(\|^rtld(' | sort -u)"
same "scriptlets" "postinstall
preuninstall
postuninstall" "$(rpm -qp --scripts "$package" | sed -n 's/ scriptlet (using .*//p')"
same "owners" "root:root" "$(rpm -qp --qf '[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]' "$package" | sort -u)"
same "files that others can write" "" \
    "$(rpm -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' "$package" | grep '^[^l]....\(w\|...w\)' || :)"
# All that is in /etc is made by commands.
same "files that an administrator edits" "" "$(rpm -qpc "$package")"

make_root
mkdir -p "$root/var/lib/rpm"
rpm_in_root --initdb

# Installed: systemd reads the units anew, and everything is there.
change -i "$package"
same "calls of systemctl" "daemon-reload" "$(cat "$calls")"
rpm_in_root -V --nodeps nixos-nspawn > "$temporary/verify" || { cat "$temporary/verify" >&2; fail "rpm -V finds differences"; }
same_as_make_install /usr/libexec/nixos-nspawn/unit-helper "$(rpm -qpL "$package")"
for directory in $(cd "$root/usr" && find . -type d -path '*nixos-nspawn*' | sed 's|^\.|/usr|'); do
    rpm -qpl "$package" | grep -qxF "$directory" || fail "$directory: belongs to no package"
done

# Upgraded with a running container: nothing is stopped, enabled or disabled.
: > "$calls"
BUILT=$temporary/built sh "$here/build.sh" "$temporary/next" 2
same "said by an upgrade" "" "$(change -U "$temporary"/next/*.rpm)"
same "calls of systemctl at an upgrade" "daemon-reload" "$(cat "$calls")"
same "release" "$version-2" "$(rpm_in_root -q --qf '%{VERSION}-%{RELEASE}' nixos-nspawn)"

# Erased: only the timer is stopped.
: > "$calls"
same_after_removal "$(change -e nixos-nspawn)"
same "calls of systemctl at an erasure" "--quiet disable --now nixos-nspawn-update.timer
--quiet is-active systemd-nspawn@web.service
daemon-reload" "$(cat "$calls")"

# Without records, their directory goes as well; without systemd, nothing calls it.
change -i "$package"
rm -r "$root/etc/nixos-nspawn/web.json" "$root/run/systemd"
: > "$calls"
change -e nixos-nspawn
same "calls of systemctl without systemd" "" "$(cat "$calls")"
[ ! -e "$root/etc/nixos-nspawn" ] || fail "/etc/nixos-nspawn: is left, though it was empty"

sha256sum "$package"
echo "two packages are identical, and rpm and rpmlint found no fault"
