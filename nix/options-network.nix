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
      `private` gives the container a network of its own and a pair of virtual interfaces: `host0` inside, and one
      named after the container on the host. `none` leaves out that pair; the container has the loopback interface,
      and those of `macvlan`, `ipvlan`, `interfaces` and `extraVeths`. `host` shares the host's network: the container
      can bind the host's ports and connect to its local services.
    '';
  };

  zone = mkOption {
    type = own.nullOr own.zoneName;
    default = null;
    example = "web";
    description = ''
      The container's zone (`Zone=`). Containers in a zone share a bridge `vz-ZONE`, which systemd-nspawn creates and
      removes, and can reach each other, by name through LLMNR, for which port 5355 is opened in a NixOS firewall. The host's end belongs to the whole zone: on NixOS,
      {option}`nixos.containers.zones.<name>` configures it. `hostNetworkConfig` cannot be set.
    '';
  };

  bridge = mkOption {
    type = own.nullOr own.interfaceName;
    default = null;
    example = "br0";
    description = "The bridge on the host that the container's interface is attached to (`Bridge=`). It must exist.";
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
      Configuration of the host's end of the pair of interfaces, as in {option}`systemd.network.networks.<name>` of
      NixOS. systemd-networkd must run on the host. The settings are added to defaults that match systemd's own:
      addresses by DHCP and router advertisements, and NAT for IPv4. A `""` at the beginning of `address` removes the
      default address. With a prefix, an address or forwarding for IPv6, the default of `IPMasquerade` is `both`, and the
      host forwards IPv6. If null, the defaults of systemd's own unit `80-container-ve.network` apply, without NAT for
      IPv6.
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
      Configuration of `host0`, the container's end of the pair of interfaces, as in
      {option}`systemd.network.networks.<name>` of NixOS. The settings are added to defaults that match systemd's own,
      including DHCP. If null, systemd's own unit `80-container-host0.network` applies.
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
      Ports of the host to forward to the container, which must have a private network. The short form is
      `[PROTOCOL:][ADDRESS:]HOST-PORT[:CONTAINER-PORT]`, with IPv6 addresses in brackets. The host's firewall does not
      block forwarded ports. systemd-nspawn forwards to the container's current addresses; over IPv6, the container
      needs one that is not link-local.
    '';
  };

  macvlan = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "eth0" ];
    description = ''
      Interfaces of the host to create MACVLAN interfaces of, which make the container a separate station in that
      network. Inside, the interface is named `mv-` and the host's name for it, or the name after a `:` (`MACVLAN=`).
    '';
  };

  ipvlan = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "eth0:lan" ];
    description = ''
      Interfaces of the host to create IPVLAN interfaces of, which share the host's hardware address. Inside, the
      interface is named `iv-` and the host's name for it, or the name after a `:` (`IPVLAN=`).
    '';
  };

  interfaces = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "eth1" ];
    description = ''
      Interfaces to move from the host to the container while it runs. A name after a `:` is the name inside
      (`Interface=`).
    '';
  };

  extraVeths = mkOption {
    type = own.listOf own.interfacePair;
    default = [ ];
    example = [ "ve-backup:backup" ];
    description = ''
      Additional pairs of virtual interfaces: the name on the host and, after a `:`, the name inside
      (`VirtualEthernetExtra=`). Neither end is configured.
    '';
  };

  namespacePath = mkOption {
    type = own.nullOr own.absolutePath;
    default = null;
    example = "/run/netns/vpn";
    description = ''
      An existing network namespace of the host for the container to join, for instance one made by `ip netns add`
      (`NamespacePath=`). It excludes all other network options, and needs systemd 259 on the host.
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
      What systemd-nspawn does with `/etc/resolv.conf` inside the container (`ResolvConf=`). If null, `auto`, which
      does not touch it in a container with a private network.
    '';
  };
}
