{
  description = "NixOS containers on systemd-nspawn, managed one by one";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      # Platforms of Rust, systemd and NixOS.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAllSystems = function: lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});

      package = pkgs: pkgs.callPackage ./nix/package.nix { };
      # For hosts where Nix is a guest: `setup` copies these programs, and a copy must not need /nix.
      static = pkgs: pkgs.callPackage ./nix/package.nix { static = true; };

      # What mkContainer checks options with. Each is evaluated once, so that a warning appears once.
      checker = import ./nix/checker.nix;
      checkers = builtins.mapAttrs (_: checker) nixpkgs.legacyPackages;

      app = pkgs: {
        type = "app";
        program = "${static pkgs}/bin/nixos-nspawn";
        meta.description = "Manage NixOS containers on systemd-nspawn";
      };
    in
    {
      packages = forAllSystems (pkgs: {
        default = package pkgs;
        nixos-nspawn = package pkgs;
        static = static pkgs;
      });

      apps = forAllSystems (pkgs: {
        default = app pkgs;
        nixos-nspawn = app pkgs;
      });

      overlays.default = final: _: {
        nixos-nspawn = package final;
        nixos-nspawn-static = static final;
      };

      lib = import ./nix/lib.nix {
        packageFor = system: checkers.${system} or (checker (import nixpkgs { inherit system; }));
      };

      nixosModules = {
        default = ./nix/module.nix;
        hypervisor = ./nix/module.nix;
      };

      # `nix run URL -- create example --flake URL` shows what a container is.
      nixosContainers = lib.genAttrs systems (system: {
        example = self.lib.mkContainer {
          inherit nixpkgs system;
          name = "example";
          modules = [ ./nix/templates/default/configuration.nix ];
          # What `nix run` has built already.
          package = static nixpkgs.legacyPackages.${system};
        };
      });

      # Checks that need no virtual machine. Tests that do are attributes of the package, `nixos-nspawn.tests`.
      checks = forAllSystems (
        pkgs:
        { package = (package pkgs).overrideAttrs { doCheck = true; }; }
        // import ./nix/checks.nix {
          inherit pkgs;
          package = package pkgs;
        }
      );

      formatter = forAllSystems (pkgs: pkgs.nixfmt-tree);

      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.clippy
            pkgs.mandoc
            pkgs.mmdebstrap
            pkgs.nixfmt
            pkgs.rustc
            pkgs.rustfmt
          ];
        };
      });

      templates = {
        default = {
          path = ./nix/templates/default;
          description = "A flake with a container";
        };
        config = {
          path = ./nix/templates/config;
          description = "A configuration file for nixos-nspawn create --config";
        };
      };
    };
}
