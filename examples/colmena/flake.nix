# Two NixOS hosts with containers, deployed as a whole by colmena: `colmena apply` from this directory. Each host is switched by
# its own nixos-rebuild mechanism, which starts, reloads and restarts the containers with it.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    nixos-nspawn.url = "git+https://git.example/nixos-nspawn";
    nixos-nspawn.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, nixos-nspawn, ... }:
    {
      colmena = {
        meta.nixpkgs = import nixpkgs { system = "x86_64-linux"; };

        # What all hosts have.
        defaults = {
          imports = [ nixos-nspawn.nixosModules.default ];
          # Their own hardware-configuration.nix, users and network come here.
          fileSystems."/".device = "/dev/disk/by-label/nixos";
          boot.loader.grub.device = "/dev/vda";
          system.stateVersion = "26.05";
        };

        alpha = {
          deployment.targetHost = "alpha.example.org";
          nixos.containers.instances.web = {
            config.system.stateVersion = "26.05";
            forwardPorts = [ "8080:80" ];
          };
        };

        beta = {
          deployment.targetHost = "beta.example.org";
          nixos.containers.instances.db.config.system.stateVersion = "26.05";
        };
      };
    };
}
