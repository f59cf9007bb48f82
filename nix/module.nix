# The NixOS module of a host. It installs the programs and the generator, writes an intent to
# /etc/nixos-nspawn/declarative.d for each of `nixos.containers.instances`, and configures systemd-networkd, the firewall, and
# a service per container through which a switch reaches it (docs/decisions/nix-host-module.md). It defines no units of
# containers: the generator does that, as for all other containers.
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

  containers = lib.mapAttrs (_: instance: instance.evaluated) cfg.instances;

  etcName = name: "nixos-nspawn/declarative.d/${name}.json";
  unit = name: "systemd-nspawn@${name}.service";
  networkUnit = name: "20-ve-${name}";

  # The host's definitions of systemd.nspawn. Those for instances go into the intents, because nspawn would use a file in
  # /etc/systemd/nspawn instead of the generated one.
  nspawn =
    let
      option = options.systemd.nspawn;
    in
    if option.definitions == [ ] then
      { }
    else
      (lib.mergeDefinitions option.loc option.type option.definitionsWithLocations).mergedValue;

  # Whether the settings of a zone's network ask for IPv6.
  ipv6 = given: given ? ipv6Prefixes || lib.any (lib.hasInfix ":") (lib.toList (given.address or [ ]));

  # Host ports that more than one instance forwards, with the names of the instances.
  shared =
    let
      claims = lib.concatLists (
        lib.mapAttrsToList (
          name: container: map (value: ports.parts value // { inherit name; }) container.forwardPorts
        ) containers
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
    failed=
    ${lib.optionalString cfg.verify ''
      ${cfg.package}/bin/nixos-nspawn --root root verify >&2 || failed=1
    ''}
    ${cfg.package}/lib/systemd/system-generators/nixos-nspawn-generator --root root units || failed=1
    if [ "$failed" ]; then
      echo "containers of this host would not work as configured, see above" >&2
      exit 1
    fi
    touch $out
  '';

  # If networkd serves only containers, it leaves alone what other programs made (networkd.conf(5)), unless the
  # host's configuration says otherwise. As a file, since releases of NixOS do not know all of these settings.
  keptForeign = lib.optionals (!config.networking.useNetworkd) (
    builtins.filter (setting: !(config.systemd.network.config.networkConfig ? ${setting})) [
      "ManageForeignRoutingPolicyRules"
      "ManageForeignRoutes"
      "ManageForeignNextHops"
    ]
  );

  # The wildcard of interface names differs between iptables and nftables.
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
          own NixOS configuration. Like that of containers managed by {manpage}`nixos-nspawn-ctl(8)`, its state is in
          `/var/lib/machines/<name>`, so the two must not share a name.
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
          Configuration of the host's end of zones, each as in {option}`systemd.network.networks.<name>`. The settings are
          added to defaults that match systemd's own: addresses by DHCP and router advertisements, and NAT. A `""` at the
          beginning of `address` removes the default address. For a zone that is not listed, systemd's own unit
          `80-container-vz.network` applies.
        '';
      };

      bootLimit = mkOption {
        type = types.nullOr (types.ints.between 1 10000);
        default = null;
        example = 4;
        description = ''
          How many containers may start at the same time. If null, there is no limit. When many start at once, each takes
          longer and may exceed its start timeout.
        '';
      };

      autoUpdate = {
        enable = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether a timer updates the containers that {manpage}`nixos-nspawn-ctl(8)` manages. Containers in `instances` are
            updated with the host.
          '';
        };
        calendar = mkOption {
          type = types.str;
          default = "*-*-* 04:00";
          example = "Mon..Fri 05:30";
          description = "When, as in {manpage}`systemd.time(7)`.";
        };
      };

      openFirewall = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether containers can reach the host's DHCP server and a DNS server on it, if there is one: UDP ports 67 and 53
          and TCP port 53 on interfaces whose names begin with `ve-` and `vz-`.
        '';
      };

      verify = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether {command}`nixos-nspawn verify` checks the containers while the host's system is built. It then is not built with
          settings that systemd-nspawn would ignore. What nixos-nspawn itself would refuse always fails the build.
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
          Has no effect, and exists for python-nixos-nspawn's users. The generator starts containers with the host;
          {command}`nixos-nspawn disable` turns that off for one.
        '';
      };
    };

    # Definitions for instances are in their intents.
    systemd.nspawn = mkOption {
      apply = lib.filterAttrs (name: _: !(cfg.instances ? ${name}));
    };

    # Likewise for the network units of instances that set hostNetworkConfig.
    systemd.network.networks = mkOption {
      apply =
        networks:
        removeAttrs networks (
          map networkUnit (
            builtins.filter (name: containers.${name}.configuresNetwork) (
              builtins.filter (name: networks ? ${networkUnit name}) (builtins.attrNames cfg.instances)
            )
          )
        );
    };

    # Definitions of a container's unit become a drop-in, and a switch does not restart the unit for them.
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

    # Checks the intents and runs the generator on them, so that a host with an intent that it refuses does not build.
    system.checks = lib.optional (
      containers != { } && pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform
    ) check;
    systemd.generators.nixos-nspawn-generator = "${cfg.package}/lib/systemd/system-generators/nixos-nspawn-generator";

    environment.etc =
      lib.mapAttrs' (
        name: container:
        lib.nameValuePair (etcName name) { text = container.intent; }
      ) containers
      // {
        # A link into the store tells nixos-nspawn-ctl not to write this file.
        "nixos-nspawn/host.json".text = builtins.toJSON (
          {
            version = 1;
            systemd = lib.toInt (
              builtins.head (builtins.match "([0-9]+).*" config.systemd.package.version)
            );
          }
          // lib.optionalAttrs (cfg.bootLimit != null) { inherit (cfg) bootLimit; }
        );
      }
      // lib.optionalAttrs (keptForeign != [ ]) {
        "systemd/networkd.conf.d/10-nixos-nspawn.conf".text =
          "[Network]\n" + lib.concatMapStrings (setting: "${setting}=no\n") keptForeign;
      };

    # A running container does not use a new template, so a switch must not stop it for one.
    systemd.services = {
      "systemd-nspawn@" = {
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
      };
    }
    // lib.optionalAttrs cfg.autoUpdate.enable {
      # As systemd/nixos-nspawn-update.service.
      nixos-nspawn-update = {
        description = "Update of NixOS containers";
        documentation = [ "man:nixos-nspawn-ctl(8)" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        # A switch of the host must not stop an update.
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
        path = [
          config.nix.package
          pkgs.gitMinimal
          config.systemd.package
        ];
        serviceConfig = {
          Type = "oneshot";
          ExecStart = "${cfg.package}/bin/nixos-nspawn update --all";
          TimeoutStartSec = "6h";
          TimeoutStopSec = "5min";
          CPUWeight = 20;
          IOWeight = 20;
        };
      };
    }
    // lib.mapAttrs' (
      name: container:
      lib.nameValuePair "nixos-nspawn-${name}" {
        description = "Host configuration of container ${name}";
        documentation = [ "man:nixos-nspawn-ctl(8)" ];
        # Not ordered relative to the container: the jobs that it starts for the container would wait for its own.
        wantedBy = [ "multi-user.target" ];
        # A manual restart would stop the container.
        unitConfig.RefuseManualStart = true;
        # A reload compares the intent with what the container runs, and acts by its strategy.
        reloadIfChanged = true;
        restartTriggers = lib.optional (
          container.strategy != "none"
        ) config.environment.etc.${etcName name}.source;
        path = [ config.systemd.package ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          # Failures are ignored: a switch stops only active services.
          ExecStart = "-${cfg.package}/bin/nixos-nspawn activate ${name}";
          ExecReload = "${cfg.package}/bin/nixos-nspawn activate ${name}";
          # When the instance is removed, the switch stops this service while the container's unit is still loaded.
          # Sockets are stopped first, since a connection could start the container again.
          ExecStop = [
            "-${config.systemd.package}/bin/systemctl stop nixos-nspawn-proxy@${name}-tcp-*.socket"
            "${config.systemd.package}/bin/systemctl stop ${unit name}"
          ];
          # The container's unit has limits of its own.
          TimeoutStopSec = "infinity";
        };
      }
    ) containers;

    systemd.timers = lib.optionalAttrs cfg.autoUpdate.enable {
      nixos-nspawn-update = {
        description = "Updates of NixOS containers";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnCalendar = cfg.autoUpdate.calendar;
          RandomizedDelaySec = mkDefault "1h";
          Persistent = mkDefault true;
        };
      };
    };

    systemd.network = {
      enable = mkDefault true;
      # If it manages only containers, none of its links means that the host is online.
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
              # First, so that an empty entry removes it.
              address = lib.mkBefore [ "0.0.0.0/24" ];
              linkConfig.RequiredForOnline = mkDefault "no";
              networkConfig = {
                DHCPServer = mkDefault "yes";
                EmitLLDP = mkDefault "customer-bridge";
                # As in units/src/network.rs.
                IgnoreCarrierLoss = mkDefault "yes";
                # Forwarding IPv6 costs a host its default route from router advertisements (units/src/network.rs).
                IPMasquerade = mkDefault (if ipv6 given then "both" else "ipv4");
                IPv6AcceptRA = mkDefault "no";
                IPv6SendRA = mkDefault (if ipv6 given then "yes" else "no");
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
      # Keep other network managers away from these interfaces.
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
        "`nixos.containers.enableAutostartService' has no effect: the generator starts containers with the host. Use `nixos-nspawn disable' to turn that off for a container.";

    assertions =
      lib.concatMap (container: container.assertions) (builtins.attrValues containers)
      ++ lib.mapAttrsToList (port: names: {
        assertion = false;
        message = "Host port ${port} is in `forwardPorts' of several `nixos.containers.instances': ${lib.concatStringsSep ", " names}.";
      }) shared
      ++ lib.mapAttrsToList (zone: _: {
        assertion = syntax.isZone zone;
        message = "`nixos.containers.zones.${zone}': a zone's name must have 1 to 12 characters that are allowed in interface names.";
      }) cfg.zones;
  };
}
