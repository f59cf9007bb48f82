# NixOS as far as the tests go: the options that a container's configuration and this project's modules set, and a system
# made of the host's own systemd and busybox, examples/debian/container.nix. In: modules. Out: config, options and pkgs.
{
  lib ? import ../../lib,
  modules,
  specialArgs ? { },
  system ? null,
  modulesLocation ? null,
}:
let
  evaluation = lib.evalModules {
    modules = [ ../modules.nix ] ++ modules;
    inherit specialArgs;
    file = if modulesLocation == null then "<unknown-file>" else modulesLocation;
  };
in
evaluation
// {
  pkgs = import ../../default.nix { system = evaluation.config.nixpkgs.hostPlatform; };
}
