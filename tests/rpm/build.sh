#!/bin/sh
# Builds the RPM package of this tree. In: the directory for it, the package's release if it is not the spec file's, and BUILT
# in the environment as in the spec file. Out: the package in that directory; the tree that it was built in is removed.
set -eu
directory=$1
spec=packaging/rpm/nixos-nspawn.spec
version=$(sed -n 's/^Version: *//p' "$spec")
rm -rf "$directory"
mkdir -p "$directory/top/SOURCES" "$directory/top/SPECS"
sed "${2:+s/^Release:.*/Release: $2/}" "$spec" > "$directory/top/SPECS/nixos-nspawn.spec"
tar --exclude=./target --exclude=./.git --exclude=./fuzz --transform="s|^\.|nixos-nspawn-$version|" \
    -czf "$directory/top/SOURCES/nixos-nspawn-$version.tar.gz" .
unset CARGO_TARGET_DIR MAKEFLAGS MFLAGS MAKELEVEL
# Rust may be rustup's, so rpm does not know it. Times and the machine's name do not get into the package.
rpmbuild -bb --nodeps --define "_topdir $directory/top" --define "_rpmdir $directory" --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
    --define '_buildhost localhost' --define 'source_date_epoch_from_changelog 1' \
    --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
    "$directory/top/SPECS/nixos-nspawn.spec" > "$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
rm -rf "$directory/top"
