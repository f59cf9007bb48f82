# The same container by each way to say it in Nix: what mkContainer makes of it, and what an instance of a host does with the
# options beside `config` and within it. Returns the data of each, without the mark of a declarative container.
{
  name ? "web",
  # What `nixosContainer` is set to, and the rest of the container's NixOS configuration.
  settings ? { },
  module ? { },
  # Definitions of systemd.nspawn.<name> and of the network unit 20-ve-<name>, of a host or as python-nixos-nspawn has
  # them, in the container's own modules. null stands for none.
  nspawn ? null,
  network ? null,
}:
let
  pkgs = import ./stand-in { system = "x86_64-linux"; };
  inherit (pkgs) lib;

  pretendedHost = {
    systemd = {
      nspawn = lib.optionalAttrs (nspawn != null) { ${name} = nspawn; };
      network.networks = lib.optionalAttrs (network != null) { "20-ve-${name}" = network; };
    };
  };
  instance =
    options:
    (lib.evalModules {
      prefix = [
        "nixos"
        "containers"
        "instances"
        name
      ];
      specialArgs = { inherit name; };
      modules = [
        (import ../../nix/instance.nix {
          inherit pkgs;
          hostConfig.system.stateVersion = "25.11";
          hostDefinitions = _: {
            inherit nspawn;
            networks = lib.optional (network != null) {
              file = "/etc/nixos/configuration.nix";
              value = network;
            };
          };
        })
        {
          _file = "/etc/nixos/configuration.nix";
          config = options;
        }
      ];
    }).config;
  data = container: removeAttrs container.data [ "declarative" ];
in
{
  mkContainer = data (
    (import ../../nix/lib.nix { }).mkContainer {
      inherit name pkgs;
      modules = [
        { nixosContainer = settings; }
        module
        pretendedHost
      ];
    }
  );
  beside = data (instance (settings // { config = module; })).config;
  within =
    data
      (instance {
        config = {
          imports = [ module ];
          nixosContainer = settings;
        };
      }).config;
  # What the host's module writes.
  intent =
    let
      inherit ((instance (settings // { config = module; })).evaluated) intent;
      container = (builtins.fromJSON (builtins.unsafeDiscardStringContext intent)).container;
    in
    removeAttrs container [ "declarative" ] // { version = 1; };
}
