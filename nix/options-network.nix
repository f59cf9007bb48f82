# The options of a container for its network.
{ lib }:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
  elements = import ./elements.nix { inherit lib; };
in
{
  network = mkOption {
    type = types.enum [
      "private"
      "host"
      "none"
    ];
    default = "private";
    description = ''
      `private` gives the container a network of its own and a pair of virtual interfaces, `host0` inside and one named
      after the container outside. `none` leaves that pair out, so that only the loopback interface is there and what
      `macvlan`, `ipvlan`, `interfaces` and `extraVeths` add. `host` shares the host's network: the container can bind
      its ports and connect to its local services.
    '';
  };

  zone = mkOption {
    type = own.nullOr own.zoneName;
    default = null;
    example = "web";
    description = ''
      The zone that the container is in (`Zone=`). Containers of one zone share a bridge `vz-ZONE`, which
      systemd-nspawn makes and removes, and reach each other. The host's end is configured for the whole zone, on NixOS
      by {option}`nixos.containers.zones.<name>`; `hostNetworkConfig` cannot be set.
    '';
  };

  bridge = mkOption {
    type = own.nullOr own.interfaceName;
    default = null;
    example = "br0";
    description = "The bridge of the host that the container's interface is attached to (`Bridge=`). It must exist.";
  };

  hostNetworkConfig = mkOption {
    type = own.nullOr own.networkUnit;
    default = null;
    example = {
      address = [
        ""
        "10.42.42.1/24"
      ];
    };
    description = ''
      Configuration of the host's end of the pair of interfaces, as {option}`systemd.network.networks.<name>` of NixOS
      has it; systemd-networkd must run on the host. It is added to defaults which keep systemd's own: addresses by DHCP
      and router advertisements, NAT. `""` at the beginning of `address` takes the default address away. If null, the
      unit that comes with systemd, `80-container-ve.network`, is in force.
    '';
  };

  containerNetworkConfig = mkOption {
    type = own.nullOr own.networkUnit;
    default = null;
    example = {
      address = [ "10.42.42.2/24" ];
      gateway = [ "10.42.42.1" ];
    };
    description = ''
      Configuration of `host0`, the container's end of the pair of interfaces, as
      {option}`systemd.network.networks.<name>` of NixOS has it. It is added to defaults which keep systemd's own, DHCP
      among them. If null, the unit that comes with systemd, `80-container-host0.network`, is in force.
    '';
  };

  forwardPorts = mkOption {
    type = own.listOf elements.forwardPort;
    default = [ ];
    example = [
      "8080:80"
      "udp:53"
      "127.0.0.1:5432:5432"
      {
        hostPort = 8443;
        containerPort = 443;
      }
    ];
    description = ''
      Ports of the host that lead into the container, which must have a private network. A short form is
      `[PROTOCOL:][ADDRESS:]HOST-PORT[:CONTAINER-PORT]`, with an IPv6 address in brackets. The host's firewall does not
      keep anybody from such a port. systemd-nspawn forwards to the addresses that the container has; over IPv6 that
      needs one that is more than link-local.
    '';
  };

  macvlan = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "eth0" ];
    description = ''
      Interfaces of the host that the container gets a MACVLAN of: it is a station of its own in that network. Inside it
      is called `mv-` and the host's name, or what stands behind a `:` (`MACVLAN=`).
    '';
  };

  ipvlan = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "eth0:lan" ];
    description = ''
      Interfaces of the host that the container gets an IPVLAN of, which shares the host's hardware address. Inside it
      is called `iv-` and the host's name, or what stands behind a `:` (`IPVLAN=`).
    '';
  };

  interfaces = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "eth1" ];
    description = ''
      Interfaces that are taken from the host while the container runs, and called inside what stands behind a `:`
      (`Interface=`).
    '';
  };

  extraVeths = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "ve-backup:backup" ];
    description = ''
      Further pairs of virtual interfaces: the name outside and, behind a `:`, the name inside
      (`VirtualEthernetExtra=`). Both ends are left to you to configure.
    '';
  };

  namespacePath = mkOption {
    type = own.nullOr own.absolutePath;
    default = null;
    example = "/run/netns/vpn";
    description = ''
      A network namespace that exists on the host, for instance made by `ip netns add`; the container joins it
      (`NamespacePath=`). It excludes all other options of the network, and needs systemd 259 on the host.
    '';
  };

  resolvConf = mkOption {
    type = own.nullOr (
      types.enum [
        "off"
        "copy-host"
        "copy-static"
        "copy-uplink"
        "copy-stub"
        "replace-host"
        "replace-static"
        "replace-uplink"
        "replace-stub"
        "bind-host"
        "bind-static"
        "bind-uplink"
        "bind-stub"
        "delete"
        "auto"
      ]
    );
    default = null;
    example = "bind-stub";
    description = ''
      What systemd-nspawn does with `/etc/resolv.conf` inside (`ResolvConf=`). If null it is `auto`, which leaves a
      container with a network of its own alone.
    '';
  };
}
