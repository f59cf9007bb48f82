# One of `nixos.containers.instances`. In: the host's packages, its configuration, and its definitions of
# `systemd.nspawn`. Out: a module with the options of a container, and `config`, whose value is what mkContainer makes of
# the NixOS configuration that is given: the same evaluation as for a container that `nixos-nspawn create` makes.
{
  pkgs,
  hostConfig,
  hostNspawn,
}:
{
  config,
  lib,
  name,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (import ./lib.nix { }) mkContainer;
  declarations = import ./options.nix {
    inherit lib;
    declarative = true;
  };

  # What is said of the options here is said inside as well, where the configuration may say more of them. Defaults are
  # left out: they are the same there.
  given = lib.mapAttrsRecursiveCond (value: !lib.isOption value) (
    _: option:
    lib.mkIf (option.highestPrio < (lib.mkOptionDefault null).priority) (
      lib.mkMerge (map (lib.mkOverride option.highestPrio) option.definitions)
    )
  ) (builtins.intersectAttrs declarations options);

  # Until 2025 NixOS called the sections of a .nspawn file by names of its own.
  nspawn = hostNspawn.${name} or { };
  section = new: old: nspawn.settings.${new} or nspawn.${old} or { };
in
{
  options = declarations // {
    nixpkgs = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "inputs.nixpkgs-unstable";
      description = ''
        The nixpkgs of the container, a path or a flake input. If null, the host's packages are used.
      '';
    };

    specialArgs = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
      example = lib.literalExpression "{ inherit inputs; }";
      description = "Further arguments of the modules in `config`, which may be used in their `imports`.";
    };

    config = mkOption {
      default = { };
      example = lib.literalExpression ''
        {
          services.nginx.enable = true;
          networking.firewall.allowedTCPPorts = [ 80 ];
        }
      '';
      description = ''
        The NixOS configuration of the container, see {manpage}`configuration.nix(5)`. `nixosContainer` options in it
        count as well, so that the configuration of a container made by {command}`nixos-nspawn create` can be moved here.
        Its release is the host's, `system.stateVersion`, unless it says otherwise.
      '';
      # Every definition is a module of the container.
      type = lib.mkOptionType {
        name = "NixOS configuration";
        merge =
          _: definitions:
          map (definition: {
            _file = definition.file;
            imports = [ definition.value ];
          }) definitions;
      };
      apply =
        modules:
        mkContainer (
          {
            inherit name;
            inherit (config) specialArgs;
            modules = modules ++ [
              {
                nixosContainer = lib.mkMerge [
                  given
                  {
                    declarative = true;
                    nspawnConfig = {
                      Exec = section "Exec" "execConfig";
                      Files = section "Files" "filesConfig";
                      Network = section "Network" "networkConfig";
                    };
                  }
                ];
                system.stateVersion = lib.mkDefault hostConfig.system.stateVersion;
              }
              # Which licences are accepted and so on; packages that are given have it already.
              (lib.mkIf (config.nixpkgs != null) { nixpkgs = { inherit (hostConfig.nixpkgs) config; }; })
            ];
          }
          // (
            if config.nixpkgs == null then
              { inherit pkgs; }
            else
              {
                inherit (config) nixpkgs;
                inherit (pkgs.stdenv.hostPlatform) system;
              }
          )
        );
    };
  };
}
