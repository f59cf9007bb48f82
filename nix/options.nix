# The options of a container. In: nixpkgs' lib. Out: an attribute set of option declarations, which is `nixosContainer`
# in the container's own configuration (container.nix) and part of `nixos.containers.instances.<name>` on the host
# (module.nix). The first eighteen, up to `declarative`, are python-nixos-nspawn's, with its names and defaults; only
# `activation.strategy` differs, see there. docs/options.md is made from this file by options-doc.nix.
{
  lib,
  # Whether the container is part of a host's configuration.
  declarative ? false,
}:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };

  nullOr =
    type: attrs:
    mkOption (
      {
        type = own.nullOr type;
        default = null;
      }
      // attrs
    );
  list =
    type: attrs:
    mkOption (
      {
        type = own.listOf type;
        default = [ ];
      }
      // attrs
    );
  flag =
    description: attrs:
    mkOption (
      {
        type = types.bool;
        default = false;
        inherit description;
      }
      // attrs
    );
in
{
  activation = {
    strategy = mkOption {
      type = types.enum [
        "none"
        "reload"
        "restart"
        "dynamic"
      ];
      default = "dynamic";
      description = ''
        What an update does to the running container. `none` leaves it alone until its next start, `reload` runs
        `switch-to-configuration test` inside, `restart` restarts it. `dynamic` restarts it if anything but the system
        itself has changed, such as a bind mount, and reloads it otherwise. python-nixos-nspawn had `restart` as the
        default of imperative containers.
      '';
    };
    autoStart = flag "Whether the container starts with the host." { default = true; };
    reloadScript = nullOr types.path {
      example = "/run/current-system/sw/bin/reload-web";
      description = ''
        A program on the host that reloads the container, instead of `switch-to-configuration test` inside. It runs on
        the host, as root.
      '';
    };
  };

  bindMounts = list own.bindMount {
    example = [
      "/var/lib/host/path:/var/lib/container/path"
      "/srv/data"
      {
        source = "/srv/music";
        readOnly = true;
      }
    ];
    description = ''
      Host paths that the container sees, each `SOURCE[:DESTINATION[:OPTIONS]]` as for `Bind=` in
      {manpage}`systemd.nspawn(5)`, or an attribute set. Without a destination it is the same path inside. A source that
      is missing when the container starts is created if its parent exists.
    '';
  };

  ephemeral = flag ''
    Whether the container forgets its state when it stops: it runs on a snapshot or a copy of its root directory
    (`Ephemeral=`).
  '' { };

  mountDaemonSocket = flag ''
    Whether the host's Nix daemon can be used inside: its socket is mounted. What is built inside lands in the host's
    store. Without it Nix can do nothing inside, and `nix.enable` is off by default.
  '' { };

  userNamespacing = flag ''
    Whether users inside are other users outside, in a range of ids that systemd-nspawn picks (`PrivateUsers=pick`).
    Owners of the store and of bind mounts are mapped, which the file system below must support.
  '' { };

  systemCallFilter = nullOr own.systemCallFilter {
    example = "@keyring bpf";
    description = ''
      System calls that are allowed in addition to systemd-nspawn's own list; with `~` in front, denied
      (`SystemCallFilter=`).
    '';
  };

  credentials = list own.credential {
    example = [
      {
        id = "token";
        path = "/run/keys/token";
      }
      {
        id = "tls";
        path = "/etc/credstore.encrypted/tls";
        encrypted = true;
      }
    ];
    description = ''
      Secrets for services inside. systemd reads them on the host when the container starts, and hands them to the
      container's service manager; nothing of them is in the store. A service inside gets one by

      ```nix
      systemd.services.web.serviceConfig.LoadCredential = "token:token";
      ```

      See {manpage}`systemd.exec(5)` and {manpage}`systemd-nspawn(1)`.
    '';
  };

  timeoutStartSec = mkOption {
    type = own.timespan;
    default = "90s";
    example = "5min";
    description = "How long the start may take (`TimeoutStartSec=` of {manpage}`systemd.service(5)`).";
  };

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

  zone = nullOr own.zoneName {
    example = "web";
    description = ''
      The zone that the container is in (`Zone=`). Containers of one zone share a bridge `vz-ZONE`, which
      systemd-nspawn makes and removes, and reach each other. The host's end is configured for the whole zone, on NixOS
      by {option}`nixos.containers.zones.<name>`; `hostNetworkConfig` cannot be set.
    '';
  };

  bridge = nullOr own.interfaceName {
    example = "br0";
    description = "The bridge of the host that the container's interface is attached to (`Bridge=`). It must exist.";
  };

  hostNetworkConfig = nullOr own.networkUnit {
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

  containerNetworkConfig = nullOr own.networkUnit {
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

  forwardPorts = list own.forwardPort {
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

  macvlan = list own.interfacePair {
    example = [ "eth0" ];
    description = ''
      Interfaces of the host that the container gets a MACVLAN of: it is a station of its own in that network. Inside it
      is called `mv-` and the host's name, or what stands behind a `:` (`MACVLAN=`).
    '';
  };
  ipvlan = list own.interfacePair {
    example = [ "eth0:lan" ];
    description = ''
      Interfaces of the host that the container gets an IPVLAN of, which shares the host's hardware address. Inside it
      is called `iv-` and the host's name, or what stands behind a `:` (`IPVLAN=`).
    '';
  };
  interfaces = list own.interfacePair {
    example = [ "eth1" ];
    description = ''
      Interfaces that are taken from the host while the container runs, and called inside what stands behind a `:`
      (`Interface=`).
    '';
  };
  extraVeths = list own.interfacePair {
    example = [ "ve-backup:backup" ];
    description = ''
      Further pairs of virtual interfaces: the name outside and, behind a `:`, the name inside
      (`VirtualEthernetExtra=`). Both ends are left to you to configure.
    '';
  };
  namespacePath = nullOr own.absolutePath {
    example = "/run/netns/vpn";
    description = ''
      A network namespace that exists on the host, for instance made by `ip netns add`; the container joins it
      (`NamespacePath=`). It excludes all other options of the network, and needs systemd 259 on the host.
    '';
  };

  hostname = nullOr own.hostname {
    example = "www";
    description = ''
      The host name that the container is started with, its own name if null (`Hostname=`). A NixOS system sets its own
      by `networking.hostName`.
    '';
  };
  resolvConf =
    nullOr
      (types.enum [
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
      ])
      {
        example = "bind-stub";
        description = ''
          What systemd-nspawn does with `/etc/resolv.conf` inside (`ResolvConf=`). If null it is `auto`, which leaves a
          container with a network of its own alone.
        '';
      };
  timezone =
    nullOr
      (types.enum [
        "off"
        "copy"
        "bind"
        "symlink"
        "delete"
        "auto"
      ])
      {
        example = "off";
        description = "What systemd-nspawn does with `/etc/localtime` inside (`Timezone=`), `auto` if null.";
      };
  environment = mkOption {
    type = own.environment;
    default = { };
    example.LANG = "C.UTF-8";
    description = ''
      Environment variables of the container's first process, and so of its service manager (`Environment=`). Services
      have their own by `systemd.services.<name>.environment`.
    '';
  };

  memoryMax = nullOr own.memory {
    example = "2G";
    description = ''
      How much memory the container can use; processes inside are killed when that is not enough (`MemoryMax=`).
      Percentages are of the host's memory.
    '';
  };
  memoryHigh = nullOr own.memory {
    example = "1536M";
    description = "From how much memory on the container is slowed down and its memory reclaimed (`MemoryHigh=`).";
  };
  cpuQuota = nullOr own.percentage {
    example = "150%";
    description = "How much time of one processor the container can use; more than 100% is more than one (`CPUQuota=`).";
  };
  cpuWeight = nullOr own.cpuWeight {
    example = 50;
    description = "The share of the processors where they are short, 100 for other units (`CPUWeight=`).";
  };
  ioWeight = nullOr own.weight {
    example = 50;
    description = "The share of the disks where they are short, 100 for other units (`IOWeight=`).";
  };
  tasksMax = nullOr own.tasks {
    example = 4096;
    description = "How many processes and threads the container can have (`TasksMax=`).";
  };
  oomScoreAdjust = nullOr (own.intBetween (-1000) 1000) {
    example = 500;
    description = ''
      How early the kernel kills the container's processes when memory ends: the higher, the earlier
      (`OOMScoreAdjust=`).
    '';
  };
  rlimits = mkOption {
    type = own.rlimits;
    default = { };
    example.NOFILE = "1024:4096";
    description = ''
      Resource limits of the container's first process, which its services inherit (`LimitNOFILE=` and so on in
      {manpage}`systemd.nspawn(5)`).
    '';
  };

  devices = list own.deviceOrPath {
    example = [
      "/dev/ttyUSB0"
      {
        path = "/dev/dri/renderD128";
        permissions = "rw";
      }
    ];
    description = ''
      Device nodes of the host that can be used inside: they are mounted, and access to them is allowed. `PATH` or
      `PATH:PERMISSIONS`, all permissions if none are given. A device that does not exist keeps the container from
      starting.
    '';
  };
  tun = flag "Whether `/dev/net/tun` can be used inside, which VPNs need." { };
  fuse = flag "Whether `/dev/fuse` can be used inside, to mount file systems by FUSE." { };
  kernelLog = flag "Whether the host's kernel log can be read inside." { };
  capabilities = {
    add = list own.capability {
      example = [ "CAP_NET_ADMIN" ];
      description = "Capabilities that the container has in addition to systemd-nspawn's usual ones (`Capability=`).";
    };
    drop = list own.capability {
      example = [ "CAP_SYS_CHROOT" ];
      description = "Capabilities that are taken from the container (`DropCapability=`).";
    };
  };
  tmpfs = list own.temporaryFileSystem {
    example = [ "/var/cache:size=1G,mode=0755" ];
    description = "Paths inside that are empty at each start, in memory: `PATH` or `PATH:OPTIONS` (`TemporaryFileSystem=`).";
  };
  inaccessiblePaths = list own.absolutePath {
    example = [ "/boot" ];
    description = "Paths inside that cannot be opened (`Inaccessible=`).";
  };

  after = list own.unitOrContainer {
    example = [
      "db"
      "postgresql.service"
    ];
    description = ''
      What starts before this container, if it is started at the same time: names of containers, or units of the host.
    '';
  };
  requires = list own.unitOrContainer {
    example = [ "db" ];
    description = ''
      What is started with this container, and without which it is not: names of containers, or units of the host. Say
      `after` as well if it must be there before.
    '';
  };
  wants = list own.unitOrContainer {
    example = [ "cache" ];
    description = "What is started with this container if possible: names of containers, or units of the host.";
  };

  nspawnConfig =
    let
      section =
        name: example:
        mkOption {
          type = own.section;
          default = { };
          inherit example;
          description = ''
            Settings for section [${name}] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are
            added to ours, other settings replace ours.
          '';
        };
    in
    {
      Exec = section "Exec" { NoNewPrivileges = true; };
      Files = section "Files" { BindReadOnly = [ "/etc/hosts:/etc/hosts.host" ]; };
      Network = section "Network" { Port = [ "tcp:8080:80" ]; };
    };
  serviceConfig = mkOption {
    type = own.section;
    default = { };
    example.IPAccounting = true;
    description = ''
      Settings for section [Service] of the container's unit on the host, `systemd-nspawn@NAME.service`, that have no
      option of their own. Those that the container's life cycle rests on, such as `Type=` or `ExecStart=`, are refused.
    '';
  };
  unitConfig = mkOption {
    type = own.section;
    default = { };
    example.ConditionACPower = true;
    description = "Settings for section [Unit] of the container's unit on the host.";
  };

  sharedNix = mkOption {
    type = types.bool;
    default = true;
    internal = true;
    description = "Whether the whole /nix/store is seen inside. Only true is supported.";
  };
  declarative = mkOption {
    type = types.bool;
    default = declarative;
    description = ''
      Whether the container is part of the host's NixOS configuration. For information: it is the module of the host
      that makes a container declarative.
    '';
  };
}
