#!/bin/sh
# Installs the Debian packages that `make vm-check` needs besides those of install-missing.sh.
# In: nothing. Out: exit status 0 when all programs are there; it never upgrades, replaces or removes what is installed.
set -eu
missing=
need() { # PROGRAM PACKAGE
    command -v "$1" > /dev/null || missing="$missing $2"
}
need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need mke2fs e2fsprogs
need mkfs.btrfs btrfs-progs
need setpriv util-linux
need xz xz-utils
[ -n "$missing" ] || exit 0
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word per package
apt-get install -qq -y --no-install-recommends --no-remove $missing > /dev/null
