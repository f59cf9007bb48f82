# One of `nixos.containers.instances`: a module with the options of a container, and `config`, a NixOS configuration that is
# evaluated by the same function as one for `nixos-nspawn create`.
{
  pkgs,
  hostConfig,
  # What the host's configuration says of a container: see make-container.nix.
  hostDefinitions,
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
  place = [
    "nixos"
    "containers"
    "instances"
    name
  ];
  makeContainer = import ./make-container.nix {
    prefix = place ++ [ "config" ];
    option = lib.concatStringsSep "." place;
    host = hostDefinitions name;
  };
  declarations = import ./options.nix {
    inherit lib;
    declarative = true;
  };

  # Definitions of the options here are definitions inside as well, where the configuration may add more. Each keeps its
  # file for messages. Defaults are left out: they are the same there.
  given =
    path: option:
    if !lib.isOption option then
      lib.concatLists (lib.mapAttrsToList (attribute: given (path ++ [ attribute ])) option)
    else if option.highestPrio >= (lib.mkOptionDefault null).priority then
      [ ]
    else
      # The definitions of a list count from the last module to the first.
      map (definition: {
        _file = definition.file;
        config = lib.setAttrByPath path (
          # A value of a wrong type is named by the option that it was given to.
          builtins.deepSeq option.value (lib.mkOverride option.highestPrio definition.value)
        );
      }) (lib.reverseList option.definitionsWithLocations);
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
        makeContainer (
          {
            inherit name;
            inherit (config) specialArgs;
            modules =
              modules
              ++ given [ "nixosContainer" ] (builtins.intersectAttrs declarations options)
              ++ [
              {
                _file = ./instance.nix;
                nixosContainer.declarative = true;
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
