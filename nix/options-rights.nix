# The options of a container for its users, devices and privileges.
{ lib }:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
  elements = import ./elements.nix { inherit lib; };
in
{
  userNamespacing = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether users inside are other users outside, in a range of ids that systemd-nspawn picks (`PrivateUsers=pick`).
      Owners of the store and of bind mounts are mapped, which the file system below must support.
    '';
  };

  capabilities = {
    add = mkOption {
      type = own.listOf own.capability;
      default = [ ];
      example = [ "CAP_NET_ADMIN" ];
      description = "Capabilities that the container has in addition to systemd-nspawn's usual ones (`Capability=`).";
    };
    drop = mkOption {
      type = own.listOf own.capability;
      default = [ ];
      example = [ "CAP_SYS_CHROOT" ];
      description = "Capabilities that are taken from the container (`DropCapability=`).";
    };
  };

  systemCallFilter = mkOption {
    type = own.nullOr own.systemCallFilter;
    default = null;
    example = "@keyring bpf";
    description = ''
      System calls that are allowed in addition to systemd-nspawn's own list; with `~` in front, denied
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
      Device nodes of the host that can be used inside: they are mounted, and access to them is allowed. `PATH` or
      `PATH:PERMISSIONS`, all permissions if none are given. A device that does not exist keeps the container from
      starting.
    '';
  };

  tun = mkOption {
    type = types.bool;
    default = false;
    description = "Whether `/dev/net/tun` can be used inside, which VPNs need.";
  };

  fuse = mkOption {
    type = types.bool;
    default = false;
    description = "Whether `/dev/fuse` can be used inside, to mount file systems by FUSE.";
  };

  kernelLog = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the host's kernel log can be read inside.";
  };
}
