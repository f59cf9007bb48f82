# The outputs of flake.nix, for use without flakes.
{
  pkgs ? import <nixpkgs> { },
}:
{
  nixos-nspawn = pkgs.callPackage ./nix/package.nix { };
  nixos-nspawn-static = pkgs.callPackage ./nix/package.nix { static = true; };
  lib = import ./nix/lib.nix { };
  nixosModules.default = ./nix/module.nix;
}
