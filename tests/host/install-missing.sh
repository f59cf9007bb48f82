#!/bin/sh
# Installs the Debian packages that the throwaway hosts and the build need and this machine lacks.
# In: nothing. Out: exit status 0 when all programs are there; it never upgrades or replaces what is installed.
set -eu
missing=
need() { # PROGRAM PACKAGE
    command -v "$1" > /dev/null || missing="$missing $2"
}
need mmdebstrap mmdebstrap
need systemd-nspawn systemd-container
need nsenter util-linux
need mandoc mandoc
need ip iproute2
need mkfs.btrfs btrfs-progs
need mount mount
need strace strace
need diff diffutils
need chattr e2fsprogs
need systemd-analyze systemd
need unshare util-linux
need prlimit util-linux
need ldd libc-bin
need timeout coreutils
need zsh zsh
need fish fish
need python3 python3
need dh debhelper
need dpkg-buildpackage dpkg-dev
# The schema test asks a validator that is not ours, from either Python.
if ! python3 -c 'import jsonschema' 2> /dev/null && ! /usr/bin/python3 -c 'import jsonschema' 2> /dev/null; then
    missing="$missing python3-jsonschema"
fi
need make make
need cc gcc
need c++ g++
need cargo cargo
[ -n "$missing" ] || exit 0
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word per package
apt-get install -qq -y --no-install-recommends $missing > /dev/null
