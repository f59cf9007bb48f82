# One of `nixos.containers.instances`: a module with the options of a container, and `config`, a NixOS configuration that is
# evaluated by the same function as one for `nixos-nspawn create`.
{
  pkgs,
  hostConfig,
  # A function of the container's name, see `host` in make-container.nix.
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
  data = import ./data.nix { inherit lib; };

  # Passes definitions of the options on to `nixosContainer` inside, where the configuration may add more. Each keeps its file
  # for messages. Defaults are the same inside and are left out.
  given =
    path: option:
    if !lib.isOption option then
      lib.concatLists (lib.mapAttrsToList (attribute: given (path ++ [ attribute ])) option)
    else if option.highestPrio >= (lib.mkOptionDefault null).priority then
      [ ]
    else
      # The module system merges lists from the last module to the first.
      map (definition: {
        _file = definition.file;
        config = lib.setAttrByPath path (
          # Evaluated here, so that a type error names the option that the user set.
          builtins.deepSeq option.value (lib.mkOverride option.highestPrio definition.value)
        );
      }) (lib.reverseList option.definitionsWithLocations);

  # Without an argument, all uses would share one evaluation.
  evaluate =
    _:
    makeContainer (
      {
        inherit name;
        inherit (config) specialArgs;
        modules =
          # Every definition is a module of the container.
          map (definition: {
            _file = definition.file;
            imports = [ definition.value ];
          }) options.config.definitionsWithLocations
          ++ given [ "nixosContainer" ] (builtins.intersectAttrs declarations options)
          ++ [
            {
              _file = ./instance.nix;
              nixosContainer.declarative = true;
              system.stateVersion = lib.mkDefault hostConfig.system.stateVersion;
            }
            # The host's packages have this configuration already.
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
in
{
  options = declarations // {
    nixpkgs = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "inputs.nixpkgs-unstable";
      description = ''
        The container's nixpkgs, a path or a flake input. If null, the host's packages are used.
      '';
    };

    specialArgs = mkOption {
      type = types.lazyAttrsOf types.raw;
      default = { };
      example = lib.literalExpression "{ inherit inputs; }";
      description = "Additional arguments for the modules in `config`, which may be used in their `imports`.";
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
        The container's NixOS configuration, see {manpage}`configuration.nix(5)`. It may set `nixosContainer` options, so the
        configuration of a container created by {command}`nixos-nspawn create` can be moved here unchanged. The default of
        `system.stateVersion` is the host's.
      '';
      type = lib.mkOptionType {
        name = "NixOS configuration";
        merge = _: definitions: definitions;
      };
      apply = _: evaluate { };
    };

    evaluated = mkOption {
      internal = true;
      readOnly = true;
      type = types.raw;
      description = "What the host's configuration needs of the container.";
      # All of it at once, by an evaluation that nothing refers to afterwards, so that its memory can be used for that of the
      # next container. `config` is evaluated only where somebody reads it.
      default =
        let
          container = evaluate { };
          settings = container.config.nixosContainer;
          failed = builtins.filter (one: !one.assertion) container.config.assertions;
          result = {
            assertions = map (one: { inherit (one) assertion message; }) failed;
            inherit (settings) forwardPorts;
            inherit (settings.activation) strategy;
            configuresNetwork = settings.hostNetworkConfig != null;
            intent = lib.optionalString (failed == [ ]) (
              builtins.toJSON {
                version = 1;
                inherit name;
                toplevel = "${container.toplevel}";
                container = data settings;
              }
            );
          };
        in
        builtins.deepSeq result result;
    };
  };
}
