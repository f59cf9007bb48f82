# The NixOS module that makes a configuration a container's: the `nixosContainer` options, their rules as assertions, and the
# system adapted to systemd-nspawn (container-profile.nix). It is all that mkContainer and the host's module add.
{
  name,
  option,
  host,
}:
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption;
  declarations = import ./options.nix { inherit lib; };
  nspawnDefinitions = import ./nspawn-definitions.nix { inherit lib; };
  rules = import ./rules.nix { inherit lib; };
  labels = lib.splitString "." name;

  # python-nixos-nspawn evaluates the container's modules a second time as those of a host, so its users can set
  # systemd.nspawn.<name>, the container's unit, and the network unit of its interface there. Such definitions, and those
  # of an instance's host, become options.
  nspawn =
    lib.optional (config.systemd.nspawn ? ${name}) config.systemd.nspawn.${name}
    ++ lib.optional (host.nspawn != null) host.nspawn;
  unit = "systemd-nspawn@${name}";
  service = config.systemd.services.${unit};
  # Variables that NixOS sets for every service.
  ownVariables = [
    "PATH"
    "LOCALE_ARCHIVE"
    "TZDIR"
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"
  ];
  variables = removeAttrs service.environment ownVariables;

  networkUnit = "20-ve-${name}";
  networks = options.systemd.network.networks;
  hostNetworkConfig = options.nixosContainer.hostNetworkConfig;

  # Adds the definitions of the host's network unit to `given`. As with python-nixos-nspawn, they count only for a
  # container that sets hostNetworkConfig.
  merged =
    given:
    let
      inside = lib.concatMap (
        { file, value }:
        lib.optional (value ? ${networkUnit}) {
          inherit file;
          value = value.${networkUnit};
        }
      ) networks.definitionsWithLocations;
      more = inside ++ host.networks;
    in
    if more == [ ] then
      given
    else
      evaluated declarations.hostNetworkConfig.type ([ (here given) ] ++ more);

  # Which settings exist is known to NixOS's module of systemd-networkd, which names the one that does not.
  checked =
    given:
    builtins.deepSeq (builtins.intersectAttrs given (
      evaluated networks.type.nestedTypes.elemType [ (here given) ]
    )) given;

  here = value: {
    inherit value;
    file = lib.concatStringsSep "', `" (lib.unique hostNetworkConfig.files);
  };
  evaluated =
    type: definitions:
    (lib.evalModules {
      prefix = lib.init hostNetworkConfig.loc;
      modules = [
        { options.hostNetworkConfig = mkOption { inherit type; }; }
      ]
      # Definitions count from the last module to the first.
      ++ map (definition: {
        _file = definition.file;
        config.hostNetworkConfig = definition.value;
      }) (lib.reverseList definitions);
    }).config.hostNetworkConfig;
in
{
  _class = "nixos";
  _file = ./container.nix;

  imports = [
    ./container-profile.nix
    ./hardening.nix
  ];

  options = {
    nixosContainer = declarations // {
      hostNetworkConfig = declarations.hostNetworkConfig // {
        apply = given: if given == null then null else checked (merged given);
      };
    };

    # A host shows the messages of all its containers.
    assertions = mkOption {
      apply = map (
        assertion: assertion // { message = "container '${name}': ${assertion.message}"; }
      );
    };
    warnings = mkOption {
      apply = map (warning: "container '${name}': ${warning}");
    };
  };

  config = {
    assertions = rules {
      inherit option;
      container = name;
      settings = config.nixosContainer;
    };

    networking.hostName = lib.mkDefault (builtins.head labels);
    networking.domain = lib.mkIf (builtins.length labels > 1) (
      lib.mkDefault (lib.concatStringsSep "." (builtins.tail labels))
    );

    nixosContainer = lib.mkMerge [
      (lib.mkIf (nspawn != [ ]) {
        nspawnConfig = nspawnDefinitions {
          container = config.nixosContainer;
          definitions = nspawn;
        };
      })
      (lib.mkIf (config.systemd.services ? ${unit}) {
        serviceConfig = service.serviceConfig // {
          # Quoted as in NixOS.
          Environment = lib.mapAttrsToList (
            variable: value: builtins.toJSON "${variable}=${toString value}"
          ) (lib.filterAttrs (_: value: value != null) variables);
        };
        inherit (service) unitConfig;
      })
    ];
  };
}
