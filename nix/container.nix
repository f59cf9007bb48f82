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
in
{
  imports = [ ./container-profile.nix ];

  options.nixosContainer = declarations // {
    hostNetworkConfig = declarations.hostNetworkConfig // {
      # Whether a setting exists is known to the module of systemd-networkd; its error names the option.
      apply =
        given:
        if given == null then
          null
        else
          let
            inherit (options.systemd.network.networks) definitions;
            # As there, definitions of the host's unit count only for a container that has one of its own.
            more = lib.concatMap (
              definition: lib.optional (definition ? ${networkUnit}) definition.${networkUnit}
            ) definitions;
            merged =
              if more == [ ] then
                given
              else
                (lib.evalModules {
                  modules = [
                    { options.hostNetworkConfig = removeAttrs declarations.hostNetworkConfig [ "apply" ]; }
                  ]
                  ++ map (value: { hostNetworkConfig = value; }) ([ given ] ++ more);
                }).config.hostNetworkConfig;
          in
          merged;
    };
  };

  config = {
    assertions = rules {
      option = "nixosContainer";
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
          Network = section "Network" "networkConfig";
        };
      })
      (lib.mkIf (config.systemd.services ? ${unit}) {
        serviceConfig = service.serviceConfig // {
          Environment = lib.mapAttrsToList (variable: value: "\"${variable}=${toString value}\"") (
            lib.filterAttrs (_: value: value != null) variables
          );
        };
        inherit (service) unitConfig;
      })
    ];
  };
}
