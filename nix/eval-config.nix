# Makes a container of a configuration file, for `nixos-nspawn create --config FILE`.
#
# In: strings, as `nix build --argstr` passes them, so that none of them is ever read as an expression. Out: what
# mkContainer of ./lib.nix makes. A configuration file keeps its place, so that what it imports by relative paths is found.
{
  # Name of the container.
  name,
  # Absolute path of the configuration file, or of a directory with a default.nix.
  config,
  # Nix system to build for.
  system,
  # Absolute path of a nixpkgs, or a flake reference of one; without either it is <nixpkgs>.
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
