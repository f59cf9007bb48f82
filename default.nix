# The outputs of flake.nix, for use without flakes.
{
  pkgs ? import <nixpkgs> { },
}:
let
  builders = pkgs.buildPackages or pkgs;
  checker = import ./nix/checker.nix;
  own = checker builders;
in
{
  nixos-nspawn = pkgs.callPackage ./nix/package.nix { };
  nixos-nspawn-static = pkgs.callPackage ./nix/package.nix { static = true; };
  lib = import ./nix/lib.nix {
    packageFor =
      system:
      if system == builders.stdenv.hostPlatform.system then
        own
      else
        checker (import pkgs.path { inherit system; });
  };
  nixosModules.default = ./nix/module.nix;
}
