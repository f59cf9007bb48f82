# Builds a container from a configuration file, for `nixos-nspawn create --config FILE`.
#
# All arguments are strings, passed by `nix build --argstr`, so that none is ever read as an expression. The configuration file
# is read where it is, so that its relative imports are found.
{
  # The container's name.
  name,
  # Absolute path of the configuration file, or of a directory with a default.nix.
  config,
  # The Nix system to build for.
  system,
  # Absolute path of a nixpkgs, or a flake reference to one. If both are null, <nixpkgs> is used.
  nixpkgs ? null,
  nixpkgsFlake ? null,
}:
let
  inherit (import ./lib.nix { }) mkContainer;
in
mkContainer {
  inherit name system;
  nixpkgs =
    if nixpkgsFlake != null then
      builtins.getFlake nixpkgsFlake
    else if nixpkgs != null then
      /. + nixpkgs
    else
      <nixpkgs>;
  modules = [ (/. + config) ];
}
