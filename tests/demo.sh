#!/bin/sh
# `make demo`: installs what is missing on this Debian machine, builds, and shows a container's life on a throwaway host.
# Everything else is in src/bin/demo.rs.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "make demo boots a throwaway host: run it as root" >&2; exit 1; }
sh tests/host/install-missing.sh
cargo build --quiet --locked -p nixos-nspawn-tests --bin demo
exec cargo run --quiet --locked -p nixos-nspawn-tests --bin demo
