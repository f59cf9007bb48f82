#!/bin/sh
# Builds the package of Arch from this tree. In: the directory for it, and BUILT in the environment, which names a directory of
# programs for PKGBUILD's paths that are there already; then nothing is compiled. Out: the package and .SRCINFO in that directory;
# the tree that it was built in is removed.
set -eu
directory=$1
version=$(sed -n 's/^pkgver=//p' packaging/arch/PKGBUILD)
rm -rf "$directory"
mkdir -p "$directory/src"
cp packaging/arch/PKGBUILD packaging/arch/nixos-nspawn.install "$directory"
tar --exclude=./target --exclude=./.git --exclude=./fuzz --transform="s|^\.|nixos-nspawn-$version|" \
    -czf "$directory/nixos-nspawn-$version.tar.gz" .
cd "$directory"
unset CARGO_TARGET_DIR MAKEFLAGS MFLAGS MAKELEVEL
# makepkg refuses to run as root. In a user namespace, root's files are those of another user.
makepkg() {
    unshare --user --map-user=1000 --map-group=1000 makepkg "$@"
}
makepkg --printsrcinfo > .SRCINFO
if [ -n "${BUILT:-}" ]; then
    tar -xf "nixos-nspawn-$version.tar.gz" -C src
    repackage=--repackage
fi
# Nothing here is a package of pacman's: dependencies are not checked.
makepkg --nodeps ${repackage:+"$repackage"} > log 2>&1 || { cat log >&2; exit 1; }
chmod -R u+w src pkg
rm -rf src pkg PKGBUILD nixos-nspawn.install "nixos-nspawn-$version.tar.gz"
