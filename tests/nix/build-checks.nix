# What checks a container while it is built: the profile by mkContainer of each library, and the derivation that the module adds
# to a host's checks. The programs are those of the machine that builds.
{
  # What `nixosContainer` and the options of the instance are set to.
  settings ? { },
  # Further arguments of mkContainer.
  arguments ? { },
  # Further packages, as an overlay adds them.
  packages ? { },
  # Options of nixos.containers.
  host ? { },
  # The packages' version of Rust, or null for none.
  rust ? "1.85.0",
}:
let
  nixpkgs = import ./stand-in { system = "x86_64-linux"; };
  pkgs =
    nixpkgs
    // {
      stdenv = nixpkgs.stdenv // {
        buildPlatform.canExecute = _: true;
      };
      # What would be built is there already.
      callPackage =
        file: _:
        if file == ../../nix/package.nix then "/usr/local" else throw "${toString file}: not known";
    }
    // lib.optionalAttrs (rust != null) { rustc.version = rust; }
    // packages;
  inherit (nixpkgs) lib;

  flake = (import ../../flake.nix).outputs {
    self = flake;
    nixpkgs = {
      inherit lib;
      outPath = ./stand-in;
      legacyPackages.x86_64-linux = pkgs;
    };
  };
  container =
    library:
    library.mkContainer (
      {
        inherit pkgs;
        name = "web";
        modules = [ { nixosContainer = settings; } ];
      }
      // arguments
    );

  instance =
    (lib.evalModules {
      specialArgs.name = "web";
      modules = [
        (import ../../nix/instance.nix {
          inherit pkgs;
          hostConfig.system.stateVersion = "25.11";
          hostDefinitions = _: {
            nspawn = null;
            networks = [ ];
          };
        })
        { config = settings; }
      ];
    }).config;

  # The module is called with a configuration that is already merged.
  made = import ../../nix/module.nix {
    inherit lib pkgs;
    options = { };
    config = {
      networking.useNetworkd = true;
      systemd.package.version = "257.9";
      environment.etc = builtins.mapAttrs (_: file: {
        source = pkgs.runCommandLocal "etc" {
          inherit (file) text;
          passAsFile = [ "text" ];
        } ''cp "$textPath" $out'';
      }) made.config.environment.etc;
      nixos.containers = {
        instances.web = instance;
        package = "/usr/local";
        bootLimit = null;
        verify = true;
      }
      // host;
    };
  };
in
{
  # By mkContainer of the flake, of default.nix, and as for --config.
  flake = container flake.lib;
  entry = container (import ../../default.nix { inherit pkgs; }).lib;
  config = container (import ../../nix/lib.nix { });
  host = builtins.head made.config.system.checks;
}
