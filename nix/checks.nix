# Checks that need no virtual machine: NixOS's documentation of the options, and evaluations of every option, of the reference
# cases for python-nixos-nspawn's files, and of a host. No system is built.
{
  pkgs,
  # Of the programs, for the host.
  package,
  # Additional modules for every system.
  modules ? [ ],
}:
let
  inherit (pkgs) lib;
  inherit (import ./lib.nix { }) mkContainer;
  every = import ../tests/nix/every-option.nix;

  # Assertions are evaluated for the path of the derivation.
  evaluated = derivation: value: builtins.seq (builtins.unsafeDiscardStringContext derivation.drvPath) value;
  json = name: value: pkgs.writeText "nixos-nspawn-${name}.json" (builtins.toJSON value);

  data =
    name: module:
    let
      container = mkContainer {
        inherit pkgs name;
        modules = modules ++ [
          module
          { system.stateVersion = lib.trivial.release; }
        ];
      };
    in
    evaluated container container.data;

  reference = ../tests/golden/reference;
  cases = lib.filter (
    case:
    builtins.pathExists (reference + "/${case}/input.json")
    && !builtins.pathExists (reference + "/${case}/error.txt")
  ) (builtins.attrNames (builtins.readDir reference));

  host = import (pkgs.path + "/nixos/lib/eval-config.nix") {
    inherit lib;
    system = null;
    modules = modules ++ [
      ./module.nix
      {
        # With this, a host needs neither a disk nor a boot loader.
        boot.isContainer = true;
        networking.useHostResolvConf = false;
        nixpkgs = { inherit pkgs; };
        system.stateVersion = lib.trivial.release;
        nixos.containers = { inherit package; };
        nixos.containers.instances = lib.mapAttrs' (group: lib.nameValuePair "every-${group}") every;
      }
    ];
  };
in
{
  # Options without a description are errors.
  options =
    (pkgs.nixosOptionsDoc {
      inherit
        (lib.evalModules {
          modules = [ { options.nixosContainer = import ./options.nix { inherit lib; }; } ];
        })
        options
        ;
    }).optionsJSON;

  every-option = json "every-option" (
    lib.mapAttrs (_: nixosContainer: data "web" { inherit nixosContainer; }) every
  );

  reference = json "reference" (
    lib.genAttrs cases (
      case:
      let
        input = lib.importJSON (reference + "/${case}/input.json");
      in
      data input.name input.module
    )
  );

  host = json "host" (
    evaluated host.config.system.build.toplevel (
      lib.mapAttrs (_: instance: instance.config.data) host.config.nixos.containers.instances
    )
  );
}
