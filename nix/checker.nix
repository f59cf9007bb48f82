# The package whose `verify` mkContainer runs unless it is told another. In: a package set. Out: our package, built from these
# packages, or null if it cannot be: their Rust is too old, or they are not for Linux.
pkgs:
let
  inherit (pkgs) lib;
  needed = (lib.importTOML ../Cargo.toml).workspace.package.rust-version;
  inherit (pkgs.stdenv.hostPlatform) system;
  without =
    reason:
    lib.warn "mkContainer: options are not checked while a container is built: ${reason}; set the argument 'package' to a package of nixos-nspawn, or to null" null;
in
if builtins.match ".*-linux" system == null then
  without "nixos-nspawn does not run on ${system}"
else if !pkgs ? rustc then
  without "nixpkgs has no Rust"
else if lib.versionOlder pkgs.rustc.version needed then
  without "nixpkgs has Rust ${pkgs.rustc.version}, and nixos-nspawn needs ${needed}"
else
  pkgs.callPackage ./package.nix { }
