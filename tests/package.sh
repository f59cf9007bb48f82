# Functions of rpm/check.sh and arch/check.sh, which set: package, the file that is checked, and temporary, a directory.

fail() {
    echo "$package: $*" >&2
    exit 1
}

# Compares two texts. In: what they are, the expected one, the one found.
same() {
    [ "$2" != "$3" ] || return 0
    printf '%s\n' "$2" > "$temporary/expected"
    printf '%s\n' "$3" > "$temporary/found"
    diff -u "$temporary/expected" "$temporary/found" >&2 || :
    fail "$1: not as expected"
}

# Makes a root in which scripts of packages run: systemctl records how it is called, a container has a record and state.
make_root() {
    root=$temporary/root
    calls=$root/calls
    mkdir -p "$root/bin" "$root/run/systemd/system" "$root/etc/nixos-nspawn" "$root/var/lib/machines/web"
    cp /bin/busybox "$root/bin/sh"
    printf '%s\n' '#!/bin/sh' 'echo "$*" >> /calls' > "$root/bin/systemctl"
    chmod +x "$root/bin/systemctl"
    echo '{}' > "$root/etc/nixos-nspawn/web.json"
    echo state > "$root/var/lib/machines/web/file"
}

# Prints files and links below a directory, except those that make_root makes and the package manager's.
files_below() {
    (cd "$1" && find . \( -path ./var -o -path ./bin -o -path ./run -o -path ./calls \) -prune -o ! -type d -print) |
        sed 's|^\.||' | LC_ALL=C sort
}

# Compares what is installed below the root with what 'make install' installs from the same programs. In: the installed unit
# helper, the package's licence, and variables of make.
same_as_make_install() {
    helper=$1
    licence=$2
    shift 2
    mkdir "$temporary/built" "$temporary/made"
    cp "$root/usr/bin/nixos-nspawn-ctl" "$temporary/built"
    cp "$root$helper" "$temporary/built/nixos-nspawn-generator"
    make --silent --no-print-directory install PREFIX=/usr HELPER="$helper" BUILT="$temporary/built" DESTDIR="$temporary/made" \
        ZSH=/usr/share/zsh/site-functions "$@"
    mkdir -p "$temporary/made/etc/nixos-nspawn" "$temporary/made$(dirname "$licence")"
    mv "$temporary/made/usr/share/doc/nixos-nspawn/LICENSE" "$temporary/made$licence"
    echo '{}' > "$temporary/made/etc/nixos-nspawn/web.json"
    same "files" "$(files_below "$temporary/made")" "$(files_below "$root" | sed 's|\(/man/.*\)\.gz$|\1|')"
    (cd "$temporary/made" && find . -type f ! -path '*/man/*') | while read -r file; do
        cmp "$temporary/made/$file" "$root/$file"
    done
}

# Checks that only records and state are left. In: what the removal has said.
same_after_removal() {
    same "said by the removal" "Containers that keep running: web
They do not start again until nixos-nspawn is installed again; 'machinectl poweroff NAME' stops one." "$1"
    same "what is left" "/etc/nixos-nspawn/web.json" "$(files_below "$root")"
    same "state" state "$(cat "$root/var/lib/machines/web/file")"
    same "directories that are left" "" "$(find "$root/usr" -name '*nixos-nspawn*' 2> /dev/null)"
}
