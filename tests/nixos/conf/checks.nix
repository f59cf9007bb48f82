# The paths of what `nix flake check` builds of nix/checks.nix, with NixOS's modules.
let
  checks = import /root/product/nix/checks.nix {
    pkgs = import /root/nixpkgs { };
    modules = [ ../newer.nix ];
  };
in
builtins.mapAttrs (_: check: check.drvPath) checks
