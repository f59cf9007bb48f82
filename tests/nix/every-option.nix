# Containers that set every option between them, since some options exclude others. In: nothing. Out: by name, what
# `nixosContainer` is set to.
{
  private = {
    activation = {
      strategy = "reload";
      autoStart = false;
      reloadScript = "/run/current-system/sw/bin/reload-web";
      expect = "running";
      check = "curl --fail http://localhost/health";
      timeout = "3min";
      settleSec = "10s";
      buildTimeout = "30min";
      snapshot = true;
    };
    bindMounts = [
      "/srv/shared:/srv/seen:norbind"
      "+/var/lib/here:/there"
      {
        source = "/srv/music";
        destination = "/music";
        readOnly = true;
        recursive = false;
        idmap = "noidmap";
      }
      { source = "/srv/same"; }
      {
        source = "/srv/owned";
        idmap = "owneridmap";
      }
    ];
    containerNetworkConfig.address = [ "10.42.42.2/24" ];
    credentials = [
      {
        id = "token";
        path = "/run/keys/token";
      }
      { id = "by-name"; }
      {
        id = "tls";
        path = "/etc/credstore.encrypted/tls";
        encrypted = true;
      }
    ];
    ephemeral = true;
    forwardPorts = [
      "8080:80"
      "udp:53"
      "127.0.0.1:5432:5432"
      "[::1]:8443:443"
      {
        hostPort = 9090;
        containerPort = 90;
        hostAddress = "192.0.2.1";
        startOnConnect = true;
      }
      {
        hostPort = 9091;
        protocol = "udp";
      }
    ];
    hostNetworkConfig = {
      address = [
        ""
        "10.42.42.1/24"
      ];
      networkConfig.IPMasquerade = "no";
    };
    mountDaemonSocket = true;
    userNamespacing = true;
    systemCallFilter = "@keyring bpf";
    timeoutStartSec = "5min 20s";
    nspawnConfig = {
      Exec.NoNewPrivileges = true;
      Files.BindReadOnly = [ "/etc/hosts:/etc/hosts.host" ];
      Network.Port = [ "tcp:7070:70" ];
    };
    serviceConfig.IPAccounting = true;
    unitConfig.ConditionPathExists = [
      "/srv"
      "/srv/shared"
    ];
    macvlan = [ "eth0" ];
    ipvlan = [ "eth1:lan" ];
    interfaces = [ "eth2" ];
    extraVeths = [ "ve-backup:backup" ];
    hostname = "www";
    resolvConf = "bind-stub";
    timezone = "off";
    environment.LANG = "C.UTF-8";
    memoryMax = "2G";
    memoryHigh = 1610612736;
    cpuQuota = "150%";
    cpuWeight = 50;
    ioWeight = 60;
    tasksMax = 4096;
    oomScoreAdjust = 500;
    rlimits = {
      NOFILE = "1024:4096";
      CORE = 0;
      STACK = "infinity";
    };
    devices = [
      "/dev/ttyUSB0"
      "/dev/ttyUSB1:rw"
      {
        path = "/dev/dri/renderD128";
        permissions = "r";
      }
      { path = "/dev/null"; }
    ];
    tun = true;
    fuse = true;
    kernelLog = true;
    capabilities = {
      add = [ "CAP_NET_ADMIN" ];
      drop = [ "CAP_SYS_CHROOT" ];
    };
    tmpfs = [
      "/var/cache:size=1G,mode=0755"
      "/scratch"
    ];
    inaccessiblePaths = [ "/boot" ];
    after = [
      "db"
      "postgresql.service"
    ];
    requires = [ "db" ];
    wants = [ "cache" ];
  };

  zone = {
    zone = "web";
    hardening = "strict";
    hosts = [ "alpha" ];
  };
  bridge = {
    bridge = "br0";
    memoryMax = "50%";
    tasksMax = "10%";
    cpuWeight = "idle";
    userNamespacing = false;
  };
  host.network = "host";
  none.network = "none";
  namespace.namespacePath = "/run/netns/vpn";
}
