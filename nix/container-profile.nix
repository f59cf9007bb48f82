# What makes a NixOS system fit into systemd-nspawn. In: a NixOS configuration with the `nixosContainer` options. Out: its
# settings for a container: networkd and resolved inside, host0, no tool that would manage the host's business, Nix by way
# of the host's daemon or not at all.
# Most are defaults, which the configuration may change. sudo needs nothing: also under user namespaces the store is root's
# inside (docs/decisions/nix-evaluation.md).
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

  # Without CAP_NET_ADMIN in the network's namespace nothing inside can configure it.
  ownNetwork = cfg.network != "host" && cfg.namespacePath == null;
  # What there is to wait for when the network is waited for.
  hasInterface =
    cfg.network == "private"
    || cfg.macvlan != [ ]
    || cfg.ipvlan != [ ]
    || cfg.interfaces != [ ]
    || cfg.extraVeths != [ ];
in
{
  config = mkMerge [
    {
      # Releases from 2025 on tell nspawn's containers from others.
      boot =
        if options.boot ? isNspawnContainer then
          { isNspawnContainer = true; }
        else
          { isContainer = true; };

      # The users are those of the configuration: it is what an update or a rollback brings back. One gets in from the
      # host, `machinectl shell`, so that nobody needs a password.
      users.mutableUsers = mkDefault false;
      users.allowNoPasswordLogin = mkDefault true;

      networking = {
        # NixOS's scripts for containers would copy the host's resolv.conf, which names servers that only the host
        # reaches.
        useHostResolvConf = false;
        useDHCP = mkDefault false;
        # Its default asks whether anything else makes /etc/resolv.conf, which asks for its default
        # (https://github.com/NixOS/nixpkgs/issues/353225).
        resolvconf.enable = mkDefault false;
      };
    }

    (mkIf ownNetwork {
      networking.useNetworkd = mkDefault true;
      services.resolved.enable = mkDefault true;
      systemd.network.wait-online.enable = mkIf (!hasInterface) (mkDefault false);
    })

    # The host's networkd, resolved and firewall are in charge of the host's network.
    (mkIf (!ownNetwork) {
      networking.useNetworkd = mkDefault false;
      services.resolved.enable = mkDefault false;
      networking.firewall.enable = mkDefault false;
    })

    (mkIf (cfg.containerNetworkConfig != null) {
      # Before systemd's own 80-container-host0.network, whose settings are repeated.
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
            # The host's end has no IPv4 link-local address either (units/src/network.rs).
            LinkLocalAddressing = mkDefault "ipv6";
          };
          dhcpV4Config.UseTimezone = mkDefault true;
        }
      ];
    })

    # The host's daemon is at the place of the container's own one. Not the socket is asked for: one of the container's own
    # stays there when it stops.
    (mkIf config.nix.enable {
      systemd.sockets.nix-daemon.unitConfig.ConditionPathIsMountPoint = "!/nix/var/nix/daemon-socket";
    })
    (mkIf cfg.mountDaemonSocket {
      # Else root would open the store itself, which nobody inside can write to. Services do not see the variables of
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
          message = "`boot.initrd.enable' is true, but a container has no initrd: its system would start without being activated.";
        }
        {
          assertion = !(config.system.etc.overlay.enable or false);
          message = "`system.etc.overlay.enable' is true, but a container has no initrd that would mount /etc.";
        }
      ];
      warnings = lib.optional (cfg.userNamespacing && !(options.boot ? isNspawnContainer)) "`nixosContainer.userNamespacing' is true, but the activation of this release of NixOS mounts /proc and others anew, which fails under user namespaces (https://github.com/NixOS/nixpkgs/issues/345899). Releases with `boot.isNspawnContainer' do not.";
    }
  ];
}
