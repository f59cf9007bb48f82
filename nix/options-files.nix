# The options of a container for its files: mounts, credentials, and inaccessible paths.
{ lib }:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
  elements = import ./elements.nix { inherit lib; };
in
{
  bindMounts = mkOption {
    type = elements.bindMounts;
    default = [ ];
    example = [
      "/srv/web:/var/www"
      "/srv/data"
      {
        source = "/srv/music";
        readOnly = true;
      }
    ];
    description = ''
      Paths of the host to mount inside the container. Each is `SOURCE[:DESTINATION[:OPTIONS]]`, as for `Bind=` in
      {manpage}`systemd.nspawn(5)`, or an attribute set. Without a destination, the source is mounted at its own path.
      A source that is missing when the container starts is created if its parent directory exists.

      With `userNamespacing`, each owner of a file keeps its number (`idmap`), unless the options say otherwise.
    '';
  };

  tmpfs = mkOption {
    type = own.listOf own.temporaryFileSystem;
    default = [ ];
    example = [ "/var/cache:size=1G,mode=0755" ];
    description = ''
      Paths inside the container that are empty, in-memory file systems at each start: `PATH` or `PATH:OPTIONS`
      (`TemporaryFileSystem=`).
    '';
  };

  inaccessiblePaths = mkOption {
    type = own.listOf own.absolutePath;
    default = [ ];
    example = [ "/boot" ];
    description = "Paths inside the container that cannot be accessed (`Inaccessible=`).";
  };

  credentials = mkOption {
    type = own.listOf elements.credential;
    default = [ ];
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
      systemd.services.web.serviceConfig.LoadCredential = "token";
      ```

      See {manpage}`systemd.exec(5)` and {manpage}`systemd-nspawn(1)`.
    '';
  };

  mountDaemonSocket = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the container can use the host's Nix daemon, whose socket is mounted inside. What is built inside goes to the
      host's store. Without it, Nix cannot do anything inside, and `nix.enable` is off by default.
    '';
  };
}
