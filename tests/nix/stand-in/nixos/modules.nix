# The options of the stand-in for NixOS. Most are taken and have no effect; `standIn` is what container.nix is given, and
# system.build.toplevel is the system that it makes.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  any =
    default:
    mkOption {
      type = types.attrsOf types.raw;
      inherit default;
    };
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  failed = builtins.filter ({ assertion, ... }: !assertion) config.assertions;
  container = import ./container.nix (
    {
      name = config.networking.hostName;
      system = config.nixpkgs.hostPlatform;
    }
    // config.standIn
  );
in
{
  options = {
    standIn = any { };
    assertions = mkOption {
      type = types.listOf types.raw;
      default = [ ];
    };
    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    nixpkgs.hostPlatform = mkOption { type = types.str; };
    system.stateVersion = mkOption { type = types.str; };
    system.build.toplevel = mkOption { type = types.raw; };

    boot.isContainer = flag false;
    environment.variables = any { };
    networking = {
      hostName = mkOption { type = types.str; };
      domain = mkOption {
        type = types.nullOr types.str;
        default = null;
      };
      firewall.enable = flag true;
      firewall.allowedTCPPorts = mkOption {
        type = types.listOf types.int;
        default = [ ];
      };
      resolvconf.enable = flag true;
      useDHCP = flag true;
      useHostResolvConf = flag true;
      useNetworkd = flag false;
    };
    nix.enable = flag true;
    services.resolved.enable = flag false;
    systemd = {
      network.networks = any { };
      network.wait-online.enable = flag true;
      nspawn = any { };
      services = any { };
      sockets = any { };
    };
    users.allowNoPasswordLogin = flag false;
    users.mutableUsers = flag true;
  };

  config.system.build.toplevel =
    if failed == [ ] then
      container.toplevel
    else
      throw "\nFailed assertions:\n${lib.concatLines (map ({ message, ... }: "- ${message}") failed)}";
}
