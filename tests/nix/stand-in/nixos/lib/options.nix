# The options of NixOS that the project's Nix files read or set, and a system made of them. In: a configuration. Out: its
# values, and `system.build.toplevel`, a folder with an `init` that only says what it is; failed assertions are errors of
# the evaluation, as in NixOS. Where ../container.nix is beside it, a copy of examples/debian/container.nix, the system is
# the one that file makes, which boots; `standIn` is what it is given.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  # As systemd units are written in NixOS, all that is read of them.
  settings = option (types.attrsOf types.unspecified) { };
  failed = map (rule: rule.message) (builtins.filter (rule: !rule.assertion) config.assertions);
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    boot = {
      isContainer = option types.bool false;
      initrd.enable = option types.bool false;
      initrd.systemd.enable = option types.bool false;
      kernel.sysctl = option (types.attrsOf types.str) { };
      specialFileSystems = option (types.attrsOf types.unspecified) { };
    };
    environment.variables = option (types.attrsOf types.str) { };
    environment.etc = option (types.attrsOf types.unspecified) { };
    time.timeZone = option (types.nullOr types.str) null;
    networking = {
      hostName = option types.str "nixos";
      domain = option (types.nullOr types.str) null;
      useNetworkd = option types.bool false;
      useDHCP = option types.bool true;
      firewall = {
        enable = option types.bool true;
        allowedTCPPorts = option (types.listOf types.int) [ ];
        interfaces = option (types.attrsOf (
          types.submodule { options.allowedUDPPorts = option (types.listOf types.int) [ ]; }
        )) { };
      };
    };
    nix = {
      enable = option types.bool true;
      gc.automatic = option types.bool false;
      optimise.automatic = option types.bool false;
    };
    nixpkgs = {
      pkgs = mkOption { type = types.unspecified; };
      hostPlatform = mkOption { type = types.str; };
    };
    security.polkit.enable = option types.bool false;
    services.resolved.enable = option types.bool false;
    system = {
      stateVersion = option types.str "25.05";
      etc.overlay.enable = option types.bool false;
      switch.enable = option types.bool true;
      build = option (types.attrsOf types.unspecified) { };
    };
    systemd = {
      globalEnvironment = option (types.attrsOf types.str) { };
      extraConfig = option types.str "";
      nspawn = option (types.attrsOf (
        types.submodule {
          options.settings = lib.genAttrs [ "Exec" "Files" "Network" ] (_: settings);
        }
      )) { };
      services = option (types.attrsOf (
        types.submodule {
          options = lib.genAttrs [ "environment" "serviceConfig" "unitConfig" ] (_: settings);
        }
      )) { };
      targets = option (types.attrsOf (
        types.submodule { options.wantedBy = option (types.listOf types.str) [ ]; }
      )) { };
      mounts = option (types.listOf types.unspecified) [ ];
      # Sections of a unit, or lists for sections that may come more than once.
      network.networks = option (types.attrsOf (
        types.attrsOf (types.either (types.attrsOf types.unspecified) types.unspecified)
      )) { };
    };
    warnings = option (types.listOf types.str) [ ];
    standIn = settings;
    # The system imitates NixOS's boot and switch.
    likeNixOS = {
      enable = option types.bool false;
      # Additional parts of the activation, and oneshot services, as shell commands by name.
      snippets = option (types.attrsOf types.str) { };
      services = option (types.attrsOf types.str) { };
    };
    _pkgs = mkOption { type = types.unspecified; };
  };

  config = {
    # As NixOS has them.
    boot.kernel.sysctl."net.ipv4.ping_group_range" = lib.mkDefault "0 2147483647";
    boot.specialFileSystems = lib.genAttrs [ "/dev" "/dev/pts" "/dev/shm" "/proc" "/run" "/run/keys" "/run/wrappers" ] (_: { });
    systemd.targets.network-online.wantedBy = [ "multi-user.target" ];

    nixpkgs.pkgs = lib.mkDefault (import ../.. { system = config.nixpkgs.hostPlatform; });
    _pkgs = config.nixpkgs.pkgs;
    _module.args.pkgs = config.nixpkgs.pkgs;
    system.build.toplevel =
      if failed != [ ] then
        throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (message: "- ${message}") failed}"
      else if builtins.pathExists ../container.nix then
        (import ../container.nix (
          {
            name = config.networking.hostName;
            system = config.nixpkgs.hostPlatform;
          }
          // lib.optionalAttrs config.likeNixOS.enable (import ./like-nixos.nix { inherit config lib; })
          // config.standIn
        )).toplevel
      else
        pkgs.runCommandLocal "nixos-system-${config.networking.hostName}-stand-in"
          {
            settings = builtins.toJSON {
              inherit (config.boot) isContainer;
              inherit (config.networking) hostName useNetworkd;
              inherit (config.environment) variables;
              inherit (config.systemd.network) networks;
            };
          }
          ''
            mkdir $out
            printf %s "$settings" > $out/settings.json
            printf '#!/bin/sh\necho this is a stand-in, which cannot start >&2\nexit 1\n' > $out/init
            chmod +x $out/init
          '';
  };
}
