# The NixOS module that makes a configuration the one of a container. In: the container's name. Out: a module with the
# `nixosContainer` options, their rules as assertions, and the system adapted to systemd-nspawn (container-profile.nix).
# It is part of every container, and the only thing that mkContainer and the host's module add to a configuration.
{ name }:
{
  config,
  lib,
  options,
  ...
}:
let
  declarations = import ./options.nix { inherit lib; };
  rules = import ./rules.nix { inherit lib; };
  labels = lib.splitString "." name;

  # python-nixos-nspawn evaluated the container's modules a second time as those of a host, so that its users could
  # set what the host is told: systemd.nspawn.<name>, the unit of the container, and the network unit of its interface.
  # What they say there goes on to the options of the same meaning.
  unit = "systemd-nspawn@${name}";
  nspawn = config.systemd.nspawn.${name};
  section =
    settings: old:
    # Until 2025 NixOS called the sections by names of its own.
    if nspawn ? settings then nspawn.settings.${settings} or { } else nspawn.${old} or { };
  givesNetwork = [
    "Private"
    "VirtualEthernetExtra"
    "Bridge"
    "Zone"
    "Interface"
    "MACVLAN"
    "IPVLAN"
    "NamespacePath"
  ];
  service = config.systemd.services.${unit};
  # What NixOS gives each of its services by itself.
  ownVariables = [
    "PATH"
    "LOCALE_ARCHIVE"
    "TZDIR"
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"
  ];
  variables = removeAttrs service.environment ownVariables;
  networkUnit = "20-ve-${name}";
  networks = options.systemd.network.networks;

  # The value of an option of its own type, whose definitions are `given` and what `systemd.network.networks` says of
  # the host's unit. As there, that counts only for a container that has one.
  merged =
    given:
    let
      more = lib.concatMap (
        definition: lib.optional (definition ? ${networkUnit}) definition.${networkUnit}
      ) networks.definitions;
    in
    if more == [ ] then
      given
    else
      evaluated declarations.hostNetworkConfig.type ([ given ] ++ more);

  # Which settings there are is known to NixOS's module of systemd-networkd: it refuses the others by name.
  checked =
    given:
    builtins.deepSeq (builtins.intersectAttrs given (
      evaluated networks.type.nestedTypes.elemType [ given ]
    )) given;

  evaluated =
    type: definitions:
    (lib.evalModules {
      prefix = [ "nixosContainer" ];
      modules = [
        { options.hostNetworkConfig = lib.mkOption { inherit type; }; }
      ]
      ++ map (definition: {
        _file = "the configuration of container '${name}'";
        config.hostNetworkConfig = definition;
      }) definitions;
    }).config.hostNetworkConfig;
in
{
  imports = [ ./container-profile.nix ];

  options.nixosContainer = declarations // {
    hostNetworkConfig = declarations.hostNetworkConfig // {
      apply = given: if given == null then null else checked (merged given);
    };
  };

  config = {
    assertions = rules {
      option = "nixosContainer";
      container = name;
      settings = config.nixosContainer;
    };

    networking.hostName = lib.mkDefault (builtins.head labels);
    networking.domain = lib.mkIf (builtins.length labels > 1) (
      lib.mkDefault (lib.concatStringsSep "." (builtins.tail labels))
    );

    nixosContainer = lib.mkMerge [
      (lib.mkIf (config.systemd.nspawn ? ${name}) {
        nspawnConfig = {
          Exec = section "Exec" "execConfig";
          Files = section "Files" "filesConfig";
          Network =
            let
              network = section "Network" "networkConfig";
            in
            network
            # VirtualEthernet=no says nothing else to nspawn than that the host's network is used, where no other setting
            # gives the container one of its own.
            // lib.optionalAttrs (
              builtins.elem (network.VirtualEthernet or true) [
                false
                "no"
                "false"
                "off"
                "0"
              ]
              && !(builtins.any (key: network ? ${key}) givesNetwork)
              && config.nixosContainer.zone == null
              && config.nixosContainer.bridge == null
              && config.nixosContainer.hostNetworkConfig == null
            ) { Private = false; };
        };
      })
      (lib.mkIf (config.systemd.services ? ${unit}) {
        serviceConfig = service.serviceConfig // {
          # Quoted as NixOS does it.
          Environment = lib.mapAttrsToList (
            variable: value: builtins.toJSON "${variable}=${toString value}"
          ) (lib.filterAttrs (_: value: value != null) variables);
        };
        inherit (service) unitConfig;
      })
    ];
  };
}
