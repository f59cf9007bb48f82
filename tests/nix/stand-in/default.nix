# Stands in for nixpkgs where there is none, for tests. In: a system. Out: a package set with as much as the project's Nix
# files ask of one; what it builds, it builds with the shell and the programs of the host.
{
  system ? builtins.currentSystem,
  config ? { },
  overlays ? [ ],
  ...
}:
let
  lib = import ./lib;
  runCommand =
    name: attributes: script:
    derivation (
      {
        inherit name system;
        builder = "/bin/sh";
        PATH = "/usr/local/bin:/usr/bin:/bin";
        args = [
          "-euc"
          script
        ];
      }
      // removeAttrs attributes [ "passthru" ]
    )
    // attributes.passthru or { };
in
{
  inherit lib runCommand;
  path = ./.;
  stdenv.hostPlatform = { inherit system; };
  runCommandLocal = runCommand;
}
