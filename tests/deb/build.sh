#!/bin/sh
# Builds the Debian package of this tree. In: the directory for it, and in the environment BUILT and DEB_PREFIX as in
# debian/rules. Out: the packages in that directory; the copy of the tree that they were built in is removed.
set -eu
directory=$1
rm -rf "$directory"
mkdir -p "$directory/tree"
tar --exclude=./target --exclude=./.git --exclude=./fuzz -cf - . | tar -xf - -C "$directory/tree"
cd "$directory/tree"
unset CARGO_TARGET_DIR MAKEFLAGS MFLAGS MAKELEVEL
dpkg-buildpackage --build=binary --no-sign --no-check-builddeps > "$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
rm -rf "$directory/tree"
