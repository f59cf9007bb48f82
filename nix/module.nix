# The NixOS module of a host. In: `nixos.containers` of a NixOS configuration. Out: the programs, the generator, one intent
# per declarative container in /etc/nixos-nspawn/declarative.d, and what a host needs around them: systemd-networkd, the
# firewall, and a service per container by which switching the host reaches it (docs/decisions/nix-host-module.md). Units
# for containers are not made here: that is the generator's business, for these containers as for all others.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.nixos.containers;
  own = import ./types.nix { inherit lib; };
  syntax = import ./syntax.nix;
  data = import ./data.nix { inherit lib; };
  ports = import ./ports.nix { inherit lib; };

  instance = import ./instance.nix {
    inherit pkgs;
    hostConfig = config;
    hostDefinitions = name: {
      nspawn = nspawn.${name} or null;
      networks = lib.concatMap (
        { file, value }:
        lib.optional (value ? ${networkUnit name}) {
          inherit file;
          value = value.${networkUnit name};
        }
      ) options.systemd.network.networks.definitionsWithLocations;
    };
  };

  # What mkContainer makes of each instance.
  containers = lib.mapAttrs (_: instance: instance.config) cfg.instances;
  settings = lib.mapAttrs (_: container: container.config.nixosContainer) containers;

  etcName = name: "nixos-nspawn/declarative.d/${name}.json";
  unit = name: "systemd-nspawn@${name}.service";
  networkUnit = name: "20-ve-${name}";

  # The host's own definitions of systemd.nspawn, of which those for instances go into the intents: a file in
  # /etc/systemd/nspawn would be used in place of the generated one.
  nspawn =
    let
      option = options.systemd.nspawn;
    in
    if option.definitions == [ ] then
      { }
    else
      (lib.mergeDefinitions option.loc option.type option.definitionsWithLocations).mergedValue;

  # Host ports that more than one instance claims, with their names.
  shared =
    let
      claims = lib.concatLists (
        lib.mapAttrsToList (
          name: settings: map (value: ports.parts value // { inherit name; }) settings.forwardPorts
        ) settings
      );
      clashing =
        claims:
        lib.unique (
          map (claim: claim.name) (
            builtins.filter (
              claim: builtins.any (other: other.name != claim.name && ports.overlaps claim other) claims
            ) claims
          )
        );
    in
    lib.filterAttrs (_: names: names != [ ]) (
      lib.mapAttrs (_: clashing) (
        lib.groupBy (claim: "${claim.protocol}/${toString claim.hostPort}") claims
      )
    );

  check = pkgs.runCommandLocal "nixos-nspawn-intents" { } ''
    etc=root/etc/nixos-nspawn
    mkdir -p $etc/declarative.d units
    ${lib.concatMapStrings (file: ''
      cp ${config.environment.etc.${file}.source} root/etc/${file}
    '') ([ "nixos-nspawn/host.json" ] ++ map etcName (builtins.attrNames containers))}
    ${cfg.package}/lib/systemd/system-generators/nixos-nspawn-generator --root root units
    touch $out
  '';

  # iptables and nftables write "all interfaces that begin so" differently.
  beginning = prefix: prefix + (if config.networking.nftables.enable then "*" else "+");
in
{
  _class = "nixos";

  options = {
    nixos.containers = {
      instances = mkOption {
        type = types.attrsOf (types.submodule instance);
        default = { };
        example = lib.literalExpression ''
          {
            web = {
              config = {
                services.nginx.enable = true;
                networking.firewall.allowedTCPPorts = [ 80 ];
              };
              forwardPorts = [ "8080:80" ];
            };
          }
        '';
        description = ''
          Containers that are part of this host's configuration. Each has the options of a container, and `config`, its
          own NixOS configuration. Its state is in `/var/lib/machines/<name>`, as that of containers that
          {manpage}`nixos-nspawn-ctl(8)` manages; a name must stand for one container only.
        '';
      };

      zones = mkOption {
        type = types.attrsOf own.networkUnit;
        default = { };
        example = {
          web.address = [
            ""
            "10.42.43.1/24"
          ];
        };
        description = ''
          The host's end of zones, each as {option}`systemd.network.networks.<name>` has it. It is added to defaults which
          keep systemd's own: addresses by DHCP and router advertisements, NAT. `""` at the beginning of `address` takes
          the default address away. A zone that is not named here has systemd's `80-container-vz.network`.
        '';
      };

      bootLimit = mkOption {
        type = types.nullOr (types.ints.between 1 10000);
        default = null;
        example = 4;
        description = ''
          How many containers of this host may be starting at the same time, all if null. Starting many at once takes
          longer than their start timeout allows.
        '';
      };

      openFirewall = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether containers can reach the host's DHCP server and a DNS server on it, if there is one: UDP ports 67 and 53
          and TCP port 53 on interfaces whose names begin with `ve-` and `vz-`.
        '';
      };

      package = mkOption {
        type = types.package;
        default = pkgs.callPackage ./package.nix { };
        defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
        description = "The package of nixos-nspawn: its programs and the generator.";
      };

      enableAutostartService = mkOption {
        type = types.bool;
        default = true;
        visible = false;
        description = ''
          Has no effect; python-nixos-nspawn has it. The generator starts containers with the host, and
          {command}`nixos-nspawn disable` keeps one from it.
        '';
      };
    };

    # Definitions for instances are in their intents (see above).
    systemd.nspawn = mkOption {
      apply = lib.filterAttrs (name: _: !(cfg.instances ? ${name}));
    };

    # Likewise for the network units of instances that set hostNetworkConfig.
    systemd.network.networks = mkOption {
      apply =
        networks:
        removeAttrs networks (
          map networkUnit (
            builtins.filter (name: settings.${name}.hostNetworkConfig != null) (
              builtins.filter (name: networks ? ${networkUnit name}) (builtins.attrNames cfg.instances)
            )
          )
        );
    };

    # What a configuration says of a container's unit is added to what the generator and systemd say, also under the names
    # of python-nixos-nspawn, and is no reason for a switch to restart it.
    systemd.services = mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            config = mkIf (lib.hasPrefix "systemd-nspawn@" name && name != "systemd-nspawn@") {
              overrideStrategy = mkDefault "asDropin";
              restartIfChanged = mkDefault false;
            };
          }
        )
      );
    };
  };

  config = {
    environment.systemPackages = [ cfg.package ];

    # The generator itself reads what it will read at boot, so that a host with an intent that it refuses is not built.
    system.checks = lib.optional (
      containers != { } && pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform
    ) check;
    systemd.generators.nixos-nspawn-generator = "${cfg.package}/lib/systemd/system-generators/nixos-nspawn-generator";

    environment.etc =
      lib.mapAttrs' (
        name: container:
        lib.nameValuePair (etcName name) {
          text = builtins.toJSON {
            version = 1;
            inherit name;
            toplevel = "${container.toplevel}";
            container = data settings.${name};
          };
        }
      ) containers
      // {
        # A link into the store, by which nixos-nspawn-ctl sees that it is not to write this file.
        "nixos-nspawn/host.json".text = builtins.toJSON (
          {
            version = 1;
            systemd = lib.toInt (
              builtins.head (builtins.match "([0-9]+).*" config.systemd.package.version)
            );
          }
          // lib.optionalAttrs (cfg.bootLimit != null) { inherit (cfg) bootLimit; }
        );
      };

    # A running container has nothing of a new template or a new drop-in for it; switching must not stop it for that.
    systemd.services = {
      "systemd-nspawn@" = {
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
      };
    }
    // lib.mapAttrs' (
      name: _:
      lib.nameValuePair "nixos-nspawn-${name}" {
        description = "Host configuration of container ${name}";
        documentation = [ "man:nixos-nspawn-ctl(8)" ];
        # Not ordered against the container: what it does to that from its own jobs would wait for these.
        wantedBy = [ "multi-user.target" ];
        # A restart by hand would stop the container.
        unitConfig.RefuseManualStart = true;
        # A change is a reload, which knows what the container runs and decides by its strategy.
        reloadIfChanged = true;
        restartTriggers = lib.optional (
          settings.${name}.activation.strategy != "none"
        ) config.environment.etc.${etcName name}.source;
        path = [ config.systemd.package ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          # Whatever comes of it: what is not active, the switch would not stop.
          ExecStart = "-${cfg.package}/bin/nixos-nspawn activate ${name}";
          ExecReload = "${cfg.package}/bin/nixos-nspawn activate ${name}";
          # When the instance is gone, the switch stops this service while the container's unit is still complete.
          # Its sockets first: a connection could start it again.
          ExecStop = [
            "-${config.systemd.package}/bin/systemctl stop nixos-nspawn-proxy@${name}-tcp-*.socket"
            "${config.systemd.package}/bin/systemctl stop ${unit name}"
          ];
          # The container's unit has limits of its own.
          TimeoutStopSec = "infinity";
        };
      }
    ) containers;

    systemd.network = {
      enable = mkDefault true;
      # Where it manages nothing but containers, none of its links counts as the host being online.
      wait-online.enable = mkDefault config.networking.useNetworkd;
      networks = lib.mapAttrs' (
        zone: given:
        lib.nameValuePair "20-vz-${zone}" (
          lib.mkMerge [
            {
              matchConfig = {
                Name = "vz-${zone}";
                Kind = mkDefault "bridge";
              };
              # First, so that an empty entry takes it away.
              address = lib.mkBefore [ "0.0.0.0/24" ];
              linkConfig.RequiredForOnline = mkDefault "no";
              networkConfig = {
                DHCPServer = mkDefault "yes";
                EmitLLDP = mkDefault "customer-bridge";
                IPMasquerade = mkDefault "both";
                IPv6AcceptRA = mkDefault "no";
                IPv6SendRA = mkDefault "yes";
                LLDP = mkDefault "yes";
                LinkLocalAddressing = mkDefault "ipv6";
              };
            }
            given
          ]
        )
      ) cfg.zones;
    };

    networking = {
      # Others keep off these interfaces.
      dhcpcd.denyInterfaces = [
        "vb-*"
        "ve-*"
        "vz-*"
      ];
      networkmanager.unmanaged = mkIf config.networking.networkmanager.enable [
        "interface-name:vb-*"
        "interface-name:ve-*"
        "interface-name:vz-*"
      ];
      firewall.interfaces = mkIf cfg.openFirewall (
        lib.genAttrs (map beginning [ "ve-" "vz-" ]) (_: {
          allowedUDPPorts = [
            53
            67
          ];
          allowedTCPPorts = [ 53 ];
        })
      );
    };

    warnings =
      lib.optional (!cfg.enableAutostartService)
        "`nixos.containers.enableAutostartService' has no effect: the generator starts containers with the host, and `nixos-nspawn disable' keeps one from it.";

    assertions =
      lib.concatMap (container: container.config.assertions) (builtins.attrValues containers)
      ++ lib.mapAttrsToList (port: names: {
        assertion = false;
        message = "Host port ${port} is in `forwardPorts' of more than one of `nixos.containers.instances': ${lib.concatStringsSep ", " names}.";
      }) shared
      ++ lib.mapAttrsToList (zone: _: {
        assertion = syntax.isZone zone;
        message = "`nixos.containers.zones.${zone}': the name of a zone has 1 to 12 characters that interface names may have.";
      }) cfg.zones;
  };
}
