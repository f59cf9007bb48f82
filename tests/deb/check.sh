#!/bin/sh
# Compares two builds of the Debian package, and has lintian check one. In: their directories.
set -eu
command -v lintian > /dev/null || apt-get install -qq -y --no-install-recommends lintian > /dev/null
for package in "$1"/*.deb; do
    cmp "$package" "$2/$(basename "$package")"
    sha256sum "$package"
done
# The tests run lintian as root.
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$1"/*.changes
echo "the packages are identical, and lintian found no error and no warning"
