# The paths of what `nix flake check` builds of nix/checks.nix, with NixOS's modules. The programs themselves need a Rust.
let
  pkgs = import /root/nixpkgs { };
  checks = import /root/product/nix/checks.nix {
    inherit pkgs;
    package = pkgs.hello;
    modules = [ ../newer.nix ];
  };
in
builtins.mapAttrs (_: check: check.drvPath) checks
