# Adapts a NixOS system to systemd-nspawn: networkd and resolved inside, host0, no services that manage the host's resources, and
# Nix through the host's daemon or not at all. Most settings are defaults that the configuration can override. sudo needs no
# change: with user namespaces, too, root owns the store inside (docs/decisions/nix-evaluation.md).
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.nixosContainer;
  inherit (lib)
    mkDefault
    mkIf
    mkMerge
    optional
    ;

  # Otherwise the container lacks CAP_NET_ADMIN in the network's namespace and cannot configure it.
  ownNetwork = cfg.network != "host" && cfg.namespacePath == null;
  # Whether a free-form setting disables it.
  sharesNetwork = builtins.elem (cfg.nspawnConfig.Network.Private or true) [
    false
    "0"
    "false"
    "no"
    "off"
  ];
  # Whether network-online.target has an interface to wait for.
  hasInterface =
    cfg.network == "private"
    || cfg.macvlan != [ ]
    || cfg.ipvlan != [ ]
    || cfg.interfaces != [ ]
    || cfg.extraVeths != [ ];

  # networkd asks timedated to set the time zone of a lease, which needs polkit; otherwise each lease ends with "Access denied".
  # nspawn gives the container the host's zone anyway.
  usesTimezone = (config.security.polkit.enable or false) && config.time.timeZone == null;

  # Until release 25.05, the newer of the two programs had its own option, and the two excluded each other.
  newer = options.system.switch.enableNg or null;
  switchable =
    (config.system.switch.enable or true)
    || (newer != null && newer.visible or true != false && config.system.switch.enableNg);
in
{
  # systemd-nspawn has mounted these. NixOS remounts them when it boots and at every switch, which the kernel does not
  # allow in a user namespace, so that the switch fails.
  options.boot.specialFileSystems = lib.mkOption {
    apply =
      all:
      if cfg.userNamespacing then
        removeAttrs all [
          "/dev"
          "/dev/pts"
          "/dev/shm"
          "/proc"
          "/run"
          "/sys"
        ]
      else
        all;
  };

  config = mkMerge [
    {
      # Releases since 2025 distinguish nspawn's containers from others.
      boot =
        if options.boot ? isNspawnContainer then
          { isNspawnContainer = true; }
        else
          { isContainer = true; };

      # Updates and rollbacks restore the users of the configuration. `machinectl shell` on the host needs no password.
      users.mutableUsers = mkDefault false;
      users.allowNoPasswordLogin = mkDefault true;

      networking = {
        # The host's resolv.conf may name servers that only the host can reach.
        useHostResolvConf = false;
        useDHCP = mkDefault false;
        # The default recurses infinitely (https://github.com/NixOS/nixpkgs/issues/353225).
        resolvconf.enable = mkDefault false;
      };
    }

    # The console is the host's journal, which would get a line every half second while the start waits.
    {
      systemd =
        if options.systemd ? settings then
          { settings.Manager.ShowStatus = mkDefault "error"; }
        else
          { extraConfig = "ShowStatus=error"; };
    }

    # NixOS links /etc/localtime to the time zone, which fails if nspawn has mounted a file there.
    (mkIf (config.time.timeZone != null) { nixosContainer.timezone = mkDefault "off"; })

    (mkIf ownNetwork {
      networking.useNetworkd = mkDefault true;
      services.resolved.enable = mkDefault true;
      systemd.network.wait-online.enable = mkIf (!hasInterface) (mkDefault false);
      # NixOS waits for the network in every boot, for more than half of a container's. Services that want
      # network-online.target still wait for it.
      systemd.targets.network-online.wantedBy = lib.mkForce [ ];
    })

    # The other containers of the zone resolve this container's name by LLMNR.
    (mkIf (ownNetwork && cfg.zone != null) {
      networking.firewall.interfaces.host0.allowedUDPPorts = [ 5355 ];
    })

    # Root in a user namespace has no capabilities over such a network: it could not listen on ports below 1024, and nspawn could
    # not mount /sys.
    (mkIf (!ownNetwork || sharesNetwork) { nixosContainer.userNamespacing = mkDefault false; })

    # 65536 users and groups are mapped.
    (mkIf cfg.userNamespacing {
      boot.kernel.sysctl."net.ipv4.ping_group_range" = lib.mkOverride 900 "0 65535";
    })

    # nspawn has mounted these, and nothing inside can unmount them: systemd runs from the store, and in a user namespace all
    # mounts from outside are locked. Without units that say so, systemd tries it at every stop.
    {
      systemd.mounts =
        map
          (where: {
            inherit where;
            what = where;
            type = "none";
            options = if where == "/tmp" then "bind" else "bind,ro";
            unitConfig.DefaultDependencies = false;
          })
          (
            [ "/nix/store" ]
            ++ lib.optionals cfg.userNamespacing (
              [
                "/nix/var/nix/db"
                "/nix/var/nix/profiles"
              ]
              ++ optional cfg.mountDaemonSocket "/nix/var/nix/daemon-socket"
              ++ optional (!(config.boot.tmp.useTmpfs or false)) "/tmp"
            )
          );
    }

    # The host's networkd, resolved and firewall manage this network.
    (mkIf (!ownNetwork) {
      networking.useNetworkd = mkDefault false;
      services.resolved.enable = mkDefault false;
      networking.firewall.enable = mkDefault false;
    })

    (mkIf (cfg.containerNetworkConfig != null) {
      # Replaces systemd's own 80-container-host0.network, with the same defaults.
      systemd.network.networks."20-host0" = mkMerge [
        cfg.containerNetworkConfig
        {
          matchConfig = {
            Kind = mkDefault "veth";
            Name = mkDefault "host0";
            Virtualization = mkDefault "container";
          };
          networkConfig = {
            DHCP = mkDefault "yes";
            LLDP = mkDefault "yes";
            EmitLLDP = mkDefault "customer-bridge";
            # Like the host's end, it has no IPv4 link-local address (units/src/network.rs).
            LinkLocalAddressing = mkDefault "ipv6";
          };
          dhcpV4Config.UseTimezone = mkDefault usesTimezone;
        }
      ];
    })
    # Without it, networkd applies systemd's own file.
    (mkIf (ownNetwork && cfg.containerNetworkConfig == null && !usesTimezone) {
      environment.etc."systemd/network/80-container-host0.network.d/50-nixos-nspawn.conf".text = ''
        [DHCPv4]
        UseTimezone=no
      '';
    })

    # With the host's daemon mounted, the container's own is not needed. The directory is checked because a socket of the
    # container's own would remain when it stops.
    (mkIf config.nix.enable {
      systemd.sockets.nix-daemon.unitConfig.ConditionPathIsMountPoint = "!/nix/var/nix/daemon-socket";
    })
    (mkIf cfg.mountDaemonSocket {
      # Otherwise root would open the store itself, which nobody inside can write to. Services do not see the variables of
      # logins.
      environment.variables.NIX_REMOTE = mkDefault "daemon";
      systemd.globalEnvironment.NIX_REMOTE = mkDefault "daemon";
    })

    # The store is the host's, and nobody inside can write to it (docs/decisions/host-store.md): without the host's daemon
    # Nix can do nothing.
    (mkIf (!cfg.mountDaemonSocket) {
      nix.enable = mkDefault false;
      warnings = optional config.nix.enable "nix.enable: Nix can do nothing in a container without the host's daemon; set nixosContainer.mountDaemonSocket";
      assertions =
        map
          (job: {
            assertion = !config.nix.${job}.automatic;
            message = "nix.${job}.automatic: the store is the host's, whose own Nix does that; leave it to the host, or set nixosContainer.mountDaemonSocket to have the host's daemon do it";
          })
          [
            "gc"
            "optimise"
          ];
    })

    {
      assertions = [
        {
          # Only then is `init` of the system the program that activates it.
          assertion = !(config.boot.initrd.enable or false);
          message = "`boot.initrd.enable' is true, but a container has no initrd: its system would start without being activated; set it to false.";
        }
        {
          # Releases with nixos-init check whether there is an initrd at all; make-container.nix checks the result.
          assertion = !(config.boot.initrd.systemd.enable or false) || options.system ? nixos-init;
          message = "`boot.initrd.systemd.enable' is true: in this release of NixOS a container would start without being activated; set it to false.";
        }
        {
          assertion = !(config.system.etc.overlay.enable or false);
          message = "`system.etc.overlay.enable' is true, but a container has no initrd that would mount /etc; set it to false.";
        }
        {
          assertion = !(config.system.nixos-init.enable or false);
          message = "`system.nixos-init.enable' is true, but a container has no initrd that would activate the system; set it to false.";
        }
        {
          assertion = cfg.activation.strategy != "reload" || switchable;
          message = "`nixosContainer.activation.strategy' is \"reload\", but `system.switch.enable' is false, so that the system has no bin/switch-to-configuration; set the strategy to \"dynamic\" or \"restart\".";
        }
      ];
    }
  ];
}
