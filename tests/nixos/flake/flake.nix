# A container made by mkContainer, in pure evaluation, and a NixOS host with this product's module.
# bin/, which ../up makes, has the product's programs: static, and built for PREFIX=/usr/local.
{
  inputs = {
    nixpkgs.url = "path:/root/nixpkgs";
    nixos-nspawn.url = "path:/root/product";
    nixos-nspawn.inputs.nixpkgs.follows = "nixpkgs";
    real = { url = "path:/root/nixos"; flake = false; };
  };
  outputs = { nixpkgs, nixos-nspawn, real, ... }:
    let
      programs = pkgs: pkgs.runCommand "nixos-nspawn-bin" { } ''
        mkdir -p $out/bin $out/libexec/nixos-nspawn $out/lib/systemd/system-generators
        cp ${./bin/nixos-nspawn-ctl} $out/bin/nixos-nspawn-ctl; ln -s nixos-nspawn-ctl $out/bin/nixos-nspawn
        cp ${./bin/nixos-nspawn-generator} $out/libexec/nixos-nspawn/unit-helper
        cp ${./bin/nixos-nspawn-generator} $out/lib/systemd/system-generators/nixos-nspawn-generator
      '';
      # The flake's own package would be built with Rust, which these packages do not have.
      container = name: settings: nixos-nspawn.lib.mkContainer {
        inherit nixpkgs name;
        system = "x86_64-linux";
        package = programs nixpkgs.legacyPackages.x86_64-linux;
        modules = [ (page name "1") { system.stateVersion = "25.05"; nixosContainer = settings; } ];
      };
      page = name: text: {
        imports = [ "${real}/module.nix" ];
        services.nginx.enable = true;
        services.nginx.virtualHosts.default.locations."/".return = "200 '${name} ${text}\n'";
        networking.firewall.allowedTCPPorts = [ 80 ];
      };
      host = instances: nixpkgs.lib.nixosSystem {
        modules = [
          nixos-nspawn.nixosModules.default
          ({ lib, pkgs, ... }:
            let package = programs pkgs; in {
              imports = [ "${real}/module.nix" ];
              nixpkgs.hostPlatform = "x86_64-linux";
              boot.isContainer = true;
              networking = { hostName = "nx"; useHostResolvConf = false; useNetworkd = true; useDHCP = false; };
              # The host's only network is that of its containers, and the boot does not wait for it.
              systemd.network.wait-online.enable = false;
              services.logrotate.enable = false;
              users.allowNoPasswordLogin = true;
              system.stateVersion = "25.05";
              nix.settings = { experimental-features = [ "nix-command" "flakes" ]; sandbox = false; substituters = lib.mkForce [ ]; };
              environment.variables.NIX_REMOTE = lib.mkForce "";
              environment.systemPackages = [ pkgs.curl pkgs.jq ];
              # The programs were built for /usr/local.
              system.activationScripts.unitHelper = ''
                mkdir -p /usr/local/libexec/nixos-nspawn
                ln -sfn ${package}/libexec/nixos-nspawn/unit-helper /usr/local/libexec/nixos-nspawn/unit-helper
              '';
              nixos.containers = { inherit package instances; };
            })
        ];
      };
      web = text: { config = page "web" text; };
      db = { config = page "db" "1"; };
    in {
      nixosContainers.static = container "static" {
        hostNetworkConfig.address = [ "" "10.77.0.1/24" ];
        containerNetworkConfig = { address = [ "10.77.0.2/24" ]; gateway = [ "10.77.0.1" ]; networkConfig.DHCP = "no"; };
      };
      nixosContainers.misspelt = container "misspelt" { nspawnConfig.Exec.Capability = [ "CAP_NET_ADMN" ]; };

      nixosConfigurations = {
        v1 = host { web = web "1"; inherit db; };
        # The system in one container differs, nothing else: a reload of web.
        v2 = host { web = web "2"; inherit db; };
        # An option of one differs: a restart of web.
        v3 = host { web = web "1" // { bindMounts = [ "/srv" ]; }; inherit db; };
        # A unit of the new configuration of web fails, the other gets a time zone of its own.
        v4 = host {
          web.config = { imports = [ (page "web" "4") ]; systemd.services.bad = { wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; script = "exit 3"; }; };
          db.config = { imports = [ (page "db" "1") ]; time.timeZone = "Asia/Tokyo"; };
        };
        # No user namespace.
        v5 = host { web = web "1"; db = db // { userNamespacing = false; }; };
        # web has moved to another name.
        v6 = host { www = web "1"; db = db // { userNamespacing = false; }; };
        # Both are gone.
        v7 = host { };
      };
    };
}
