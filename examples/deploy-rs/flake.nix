# A NixOS host with a container, deployed as a whole by deploy-rs: `deploy .#alpha` from this directory. If the host cannot be
# reached afterwards, deploy-rs switches it back, and the containers with it.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    deploy-rs.url = "github:serokell/deploy-rs";
    deploy-rs.inputs.nixpkgs.follows = "nixpkgs";
    nixos-nspawn.url = "git+https://git.example/nixos-nspawn";
    nixos-nspawn.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      deploy-rs,
      nixos-nspawn,
    }:
    {
      nixosConfigurations.alpha = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          nixos-nspawn.nixosModules.default
          {
            # Its own hardware-configuration.nix, users and network come here.
            fileSystems."/".device = "/dev/disk/by-label/nixos";
            boot.loader.grub.device = "/dev/vda";
            system.stateVersion = "26.05";
            nixos.containers.instances.web = {
              config.system.stateVersion = "26.05";
              forwardPorts = [ "8080:80" ];
            };
          }
        ];
      };

      deploy.nodes.alpha = {
        hostname = "alpha.example.org";
        profiles.system = {
          user = "root";
          path = deploy-rs.lib.x86_64-linux.activate.nixos self.nixosConfigurations.alpha;
        };
      };

      checks = builtins.mapAttrs (system: lib: lib.deployChecks self.deploy) deploy-rs.lib;
    };
}
