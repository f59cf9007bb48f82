# The outputs of flake.nix, for use without flakes.
{
  pkgs ? import <nixpkgs> { },
}:
let
  checker = import ./nix/checker.nix pkgs;
in
{
  nixos-nspawn = pkgs.callPackage ./nix/package.nix { };
  nixos-nspawn-static = pkgs.callPackage ./nix/package.nix { static = true; };
  lib = import ./nix/lib.nix {
    packageFor = system: if system == pkgs.stdenv.hostPlatform.system then checker else null;
  };
  nixosModules.default = ./nix/module.nix;
}
