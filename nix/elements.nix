# The elements of lists that are more than a string: the options of their attribute sets, and types that take the short
# form as well.
{ lib }:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
  syntax = import ./syntax.nix;

  # What the elements of these lists may be, written out.
  elements = {
    forwardPorts = {
      hostPort = mkOption {
        type = own.intBetween 1 65535;
        example = 8080;
        description = "The port on the host.";
      };
      containerPort = mkOption {
        type = own.nullOr (own.intBetween 1 65535);
        default = null;
        example = 80;
        description = "The port inside the container. If null, the same as on the host.";
      };
      protocol = mkOption {
        type = types.enum [
          "tcp"
          "udp"
        ];
        default = "tcp";
        description = "The transport protocol.";
      };
      hostAddress = mkOption {
        type = own.nullOr own.address;
        default = null;
        example = "127.0.0.1";
        description = ''
          The address of the host to listen on, which may be a loopback address. If null, all addresses. With an
          address, a socket unit that lives as long as the container forwards the port, for TCP only.
        '';
      };
      startOnConnect = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the first connection starts the container, for TCP only.";
      };
    };
    bindMounts = {
      source = mkOption {
        type = own.absolutePath;
        example = "/srv/data";
        description = "The path on the host.";
      };
      destination = mkOption {
        type = own.nullOr own.absolutePath;
        default = null;
        example = "/data";
        description = "The path inside the container. If null, the same as on the host.";
      };
      readOnly = mkOption {
        type = own.nullOr types.bool;
        default = null;
        example = true;
        description = ''
          Whether the mount is read-only (`BindReadOnly=`). If null, it is with `hardening = "strict"` only.
        '';
      };
      recursive = mkOption {
        type = types.bool;
        default = true;
        description = "Whether mounts below the source are included.";
      };
      idmap = mkOption {
        type = own.nullOr (
          types.enum [
            "noidmap"
            "idmap"
            "rootidmap"
            "owneridmap"
          ]
        );
        default = null;
        description = ''
          How owners on the host map to owners inside with `userNamespacing`, see {manpage}`systemd-nspawn(1)`. If
          null, each owner keeps its number (`idmap`). It has no effect without `userNamespacing`.
        '';
      };
    };
    credentials = {
      id = mkOption {
        type = own.credentialId;
        example = "token";
        description = "The name by which services inside load the credential.";
      };
      path = mkOption {
        type = own.nullOr own.credentialSource;
        default = null;
        example = "/run/keys/token";
        description = ''
          An absolute path on the host, or the name of a credential in the host's credential store. If null, the name
          is `id`.
        '';
      };
      encrypted = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether the file is encrypted by {manpage}`systemd-creds(1)`. It is decrypted when the container starts
          (`LoadCredentialEncrypted=`).
        '';
      };
    };
    devices = {
      path = mkOption {
        type = own.device;
        example = "/dev/ttyUSB0";
        description = "The device node.";
      };
      permissions = mkOption {
        type = own.permissions;
        default = "rwm";
        description = "The permitted access: any of `r` (read), `w` (write) and `m` (create the node).";
      };
    };
  };

  # A submodule could also be a function, or the path of a file, and an invalid short form would be read as such a path.
  attributes = options: types.addCheck (types.submodule { inherit options; }) builtins.isAttrs;
in
rec {
  inherit elements;

  # Lists of these, so that their descriptions are in the plural.
  forwardPort = own.called "[PROTOCOL:][ADDRESS:]HOST-PORT[:CONTAINER-PORT], or attribute sets" (
    types.either (own.text "forwardPort" "port" syntax.isForward) (attributes elements.forwardPorts)
  );
  bindMount = own.explained syntax.bindProblem (
    own.called "SOURCE[:DESTINATION[:OPTIONS]], or attribute sets" (
      types.either (own.text "bindMount" "bind mount" syntax.isBind) (attributes elements.bindMounts)
    )
  );
  # `containers.<name>.bindMounts` of NixOS is an attribute set by destination.
  bindMounts = own.explained (
    value:
    if builtins.isAttrs value then
      "it is a list; for `containers' of NixOS write { source = hostPath; destination = mountPoint; readOnly = isReadOnly; }, where isReadOnly is true by default, or use lib.fromContainers"
    else
      null
  ) (own.listOf bindMount);
  credential = own.called "attribute sets" (attributes elements.credentials);
  deviceOrPath = own.called "PATH[:PERMISSIONS], or attribute sets" (
    types.either (own.text "device" "device" syntax.isDeviceAndPermissions) (
      attributes elements.devices
    )
  );
}
