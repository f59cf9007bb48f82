# The options of a container, for `nixosContainer` in its own configuration (container.nix) and for
# `nixos.containers.instances.<name>` on a host (module.nix). The reference, docs/options.md, is made from them.
{
  lib,
  # Whether the container is part of a host's configuration.
  declarative ? false,
}:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
in
import ./options-files.nix { inherit lib; }
// import ./options-network.nix { inherit lib; }
// import ./options-rights.nix { inherit lib; }
// import ./options-limits.nix { inherit lib; }
// {
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
        `switch-to-configuration test` inside it, `restart` restarts it. `dynamic` reloads it if only the system
        inside has changed, and restarts it if anything else has, such as a bind mount. In python-nixos-nspawn,
        `restart` was the default of imperative containers.
      '';
    };
    autoStart = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the container starts with the host.";
    };
    reloadScript = mkOption {
      type = own.nullOr types.path;
      default = null;
      example = "/usr/local/bin/reload-web";
      description = ''
        A program on the host that reloads the container, instead of `switch-to-configuration test` inside it. It runs
        on the host, as root.
      '';
    };
    expect = mkOption {
      type = types.enum [
        "running"
        "degraded"
        "active"
        "none"
      ];
      default = "degraded";
      description = ''
        The state that the container must reach after an update; otherwise the previous generation is activated again.
        `running`: the system inside is running, and no unit failed. `degraded`: it has started, and no unit failed that
        had not failed before. `active`: the unit of the container is active. `none`: nothing.
      '';
    };
    check = mkOption {
      type = own.nullOr own.line;
      default = null;
      example = "curl --fail http://localhost/health";
      description = ''
        A command for `/bin/sh` inside the container that must succeed after an update; it is tried every second until
        the time is over. `nixos-nspawn check` runs it on demand.
      '';
    };
    timeout = mkOption {
      type = own.nullOr own.timespan;
      default = null;
      example = "3min";
      description = ''
        How long a reload, a start and the checks after it may each take in an update. By default, as long as a start
        (`timeoutStartSec`).
      '';
    };
    settleSec = mkOption {
      type = own.nullOr own.timespan;
      default = null;
      example = "10s";
      description = ''
        How long services that have just started must stay up after an update, if `expect` is `running` or `degraded`.
        By default, two seconds.
      '';
    };
    buildTimeout = mkOption {
      type = own.nullOr own.timespan;
      default = null;
      example = "30min";
      description = ''
        How long the build of an update may take; `--build-timeout` overrides it. The configuration that is recorded
        counts, not the one that is built. By default, there is no limit.
      '';
    };
    snapshot = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether an update that restarts the container first makes a read-only snapshot of its state. It is kept with the
        previous generation, `nixos-nspawn rollback --with-state` restores it, and `nixos-nspawn delete-generations`
        deletes it with the generation. `/var/lib/machines/NAME` must be a btrfs subvolume, which `nixos-nspawn create`
        makes. It has no effect on containers of a NixOS configuration.
      '';
    };
  };

  hosts = mkOption {
    type = own.nullOr (own.listOf types.str);
    default = null;
    example = [
      "alpha"
      "edge"
    ];
    description = ''
      The hosts that `nixos-nspawn apply` creates this container on, by their names or tags (`Name=` and `Tags=` of
      {manpage}`nixos-nspawn.conf(5)`). By default, every host that applies the flake. It has no effect on containers of a
      NixOS configuration.
    '';
  };

  ephemeral = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the container loses its state when it stops. It runs on a snapshot or a copy of its root directory
      (`Ephemeral=`).
    '';
  };

  timeoutStartSec = mkOption {
    type = own.timespan;
    default = "90s";
    example = "5min";
    description = "How long the container may take to start (`TimeoutStartSec=` of {manpage}`systemd.service(5)`).";
  };

  after = mkOption {
    type = own.listOf own.unitOrContainer;
    default = [ ];
    example = [
      "db"
      "postgresql.service"
    ];
    description = ''
      Containers, or units of the host, that start before this container if they start at the same time.
    '';
  };

  requires = mkOption {
    type = own.listOf own.unitOrContainer;
    default = [ ];
    example = [ "db" ];
    description = ''
      Containers, or units of the host, that this container needs: they are started first, and it does not start without them
      (`Requires=` and `After=`).
    '';
  };

  wants = mkOption {
    type = own.listOf own.unitOrContainer;
    default = [ ];
    example = [ "cache" ];
    description = "Containers, or units of the host, that start with this container if possible.";
  };

  hostname = mkOption {
    type = own.nullOr own.hostname;
    default = null;
    example = "www";
    description = ''
      The host name that the container starts with (`Hostname=`). If null, its own name. A NixOS system sets its host
      name with `networking.hostName`.
    '';
  };

  timezone = mkOption {
    type = own.nullOr (
      types.enum [
        "off"
        "copy"
        "bind"
        "symlink"
        "delete"
        "auto"
      ]
    );
    default = null;
    example = "off";
    description = ''
      What systemd-nspawn does with `/etc/localtime` inside the container (`Timezone=`). If null, `off` for a
      configuration that sets `time.timeZone`, otherwise `auto`.
    '';
  };

  environment = mkOption {
    type = own.environment;
    default = { };
    example.LANG = "C.UTF-8";
    description = ''
      Environment variables of the container's first process, and so of its service manager (`Environment=`). For
      services, use `systemd.services.<name>.environment`.
    '';
  };

  nspawnConfig = {
    Exec = mkOption {
      type = own.section;
      default = { };
      example.NoNewPrivileges = true;
      description = ''
        Settings for section [Exec] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are added
        to those of nixos-nspawn, other settings replace them.
      '';
    };
    Files = mkOption {
      type = own.section;
      default = { };
      example.BindReadOnly = [ "/srv:/mnt" ];
      description = ''
        Settings for section [Files] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are added
        to those of nixos-nspawn, other settings replace them.
      '';
    };
    Network = mkOption {
      type = own.section;
      default = { };
      example.Port = [ "tcp:8080:80" ];
      description = ''
        Settings for section [Network] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are
        added to those of nixos-nspawn, other settings replace them.
      '';
    };
  };

  serviceConfig = mkOption {
    type = own.section;
    default = { };
    example.IPAccounting = true;
    description = ''
      Settings for section [Service] of the container's unit on the host, `systemd-nspawn@NAME.service`, that have no
      option of their own. Settings that the container's life cycle depends on, such as `Type=` and `ExecStart=`, are
      refused.
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
      Whether the container is part of the host's NixOS configuration. For information: the host's module sets it.
    '';
  };
}
