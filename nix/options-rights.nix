# The options of a container for its users, devices and privileges.
{ lib }:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
  elements = import ./elements.nix { inherit lib; };
in
{
  hardening = mkOption {
    type = types.enum [
      "default"
      "strict"
    ];
    default = "default";
    example = "strict";
    description = ''
      `strict` takes from the container what servers hardly need, by other defaults of these options: `capabilities.drop`,
      `systemCallFilter`, `nspawnConfig.Exec.NoNewPrivileges`, `memoryMax = "50%"`, and `tasksMax = 4096`. Bind mounts are
      read-only, unless `readOnly` is false. What is set explicitly wins, and what `capabilities.add` lists is not dropped. Inside,
      set-user-ID programs such as `sudo` give no privileges, and debuggers do not work; docs/hardening.md says what else
      does not. `nixos-nspawn audit` shows what the container can still do.
    '';
  };

  userNamespacing = mkOption {
    type = types.bool;
    default = true;
    description = ''
      Whether users inside the container map to other users on the host, in a range that systemd-nspawn picks
      (`PrivateUsers=pick`). Root inside is then not root on the host, and cannot undo read-only mounts. Ownership in the
      store and in bind mounts is mapped, which their file systems must support.

      The default is false with `network = "host"` and with `namespacePath`, because root inside has no rights over a
      network of the host then, such as to the ports below 1024.
    '';
  };

  capabilities = {
    add = mkOption {
      type = own.listOf own.capability;
      default = [ ];
      example = [ "CAP_NET_ADMIN" ];
      description = "Capabilities to grant in addition to those of systemd-nspawn (`Capability=`).";
    };
    drop = mkOption {
      type = own.listOf own.capability;
      default = [ ];
      example = [ "CAP_SYS_CHROOT" ];
      description = "Capabilities to withhold from the container (`DropCapability=`).";
    };
  };

  systemCallFilter = mkOption {
    type = own.nullOr own.systemCallFilter;
    default = null;
    example = "@keyring bpf";
    description = ''
      System calls to allow in addition to those of systemd-nspawn, or to deny if the list begins with `~`
      (`SystemCallFilter=`).
    '';
  };

  devices = mkOption {
    type = own.listOf elements.deviceOrPath;
    default = [ ];
    example = [
      "/dev/ttyUSB0"
      {
        path = "/dev/dri/renderD128";
        permissions = "rw";
      }
    ];
    description = ''
      Device nodes of the host that the container can use. They are mounted inside, and access to them is allowed.
      `PATH` or `PATH:PERMISSIONS`; by default, all permissions. The container does not start if a device is missing.
    '';
  };

  tun = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the container can use `/dev/net/tun`, which VPNs need.";
  };

  fuse = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the container can use `/dev/fuse` to mount FUSE file systems.";
  };

  kernelLog = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the container can read the host's kernel log.";
  };
}
