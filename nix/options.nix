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
        `switch-to-configuration test` inside, `restart` restarts it. `dynamic` restarts it if anything but the system
        itself has changed, such as a bind mount, and reloads it otherwise. python-nixos-nspawn had `restart` as the
        default of imperative containers.
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
      example = "/run/current-system/sw/bin/reload-web";
      description = ''
        A program on the host that reloads the container, instead of `switch-to-configuration test` inside. It runs on
        the host, as root.
      '';
    };
  };

  ephemeral = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the container forgets its state when it stops: it runs on a snapshot or a copy of its root directory
      (`Ephemeral=`).
    '';
  };

  timeoutStartSec = mkOption {
    type = own.timespan;
    default = "90s";
    example = "5min";
    description = "How long the start may take (`TimeoutStartSec=` of {manpage}`systemd.service(5)`).";
  };

  after = mkOption {
    type = own.listOf own.unitOrContainer;
    default = [ ];
    example = [
      "db"
      "postgresql.service"
    ];
    description = ''
      What starts before this container, if it is started at the same time: names of containers, or units of the host.
    '';
  };

  requires = mkOption {
    type = own.listOf own.unitOrContainer;
    default = [ ];
    example = [ "db" ];
    description = ''
      What is started with this container, and without which it is not: names of containers, or units of the host. Say
      `after` as well if it must be there before.
    '';
  };

  wants = mkOption {
    type = own.listOf own.unitOrContainer;
    default = [ ];
    example = [ "cache" ];
    description = "What is started with this container if possible: names of containers, or units of the host.";
  };

  hostname = mkOption {
    type = own.nullOr own.hostname;
    default = null;
    example = "www";
    description = ''
      The host name that the container is started with, its own name if null (`Hostname=`). A NixOS system sets its own
      by `networking.hostName`.
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

  nspawnConfig = {
    Exec = mkOption {
      type = own.section;
      default = { };
      example.NoNewPrivileges = true;
      description = ''
        Settings for section [Exec] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are
        added to ours, other settings replace ours.
      '';
    };
    Files = mkOption {
      type = own.section;
      default = { };
      example.BindReadOnly = [ "/etc/hosts:/etc/hosts.host" ];
      description = ''
        Settings for section [Files] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are
        added to ours, other settings replace ours.
      '';
    };
    Network = mkOption {
      type = own.section;
      default = { };
      example.Port = [ "tcp:8080:80" ];
      description = ''
        Settings for section [Network] of {manpage}`systemd.nspawn(5)` that have no option of their own. Lists are
        added to ours, other settings replace ours.
      '';
    };
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
