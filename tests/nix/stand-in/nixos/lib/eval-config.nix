# Stands in for NixOS's evaluation of a configuration. In: modules, as nixpkgs' file of this name takes them. Out: config,
# options and pkgs. There are only the options that the project's files read or set (options.nix); anything else may be
# set and has no effect, but for the container's own options.
{
  lib ? import ../../lib,
  pkgs ? null,
  system ? null,
  modules ? [ ],
  specialArgs ? { },
  prefix ? [ ],
  modulesLocation ? null,
}:
let
  evaluation = lib.evalModules {
    modules = modules ++ [ ./options.nix ];
    specialArgs = specialArgs // {
      modulesPath = toString ../modules;
    };
    inherit prefix;
    check = false;
    checkedBelow = [ "nixosContainer" ];
    modulesLocation = if modulesLocation == null then "<unknown-file>" else modulesLocation;
  };
in
evaluation // { pkgs = evaluation.config._pkgs; }
