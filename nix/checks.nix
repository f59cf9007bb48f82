# Checks that need no virtual machine: NixOS's documentation of the options, and the evaluation of every option.
{ pkgs }:
let
  inherit (pkgs) lib;
  inherit (import ./lib.nix { }) mkContainer;
  every = import ../tests/nix/every-option.nix;
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

  # Assertions are evaluated for the path of the derivation, which is not built.
  every-option = pkgs.writeText "nixos-nspawn-every-option.json" (
    builtins.toJSON (
      lib.mapAttrs (
        _: nixosContainer:
        let
          container = mkContainer {
            inherit pkgs;
            name = "web";
            modules = [
              {
                inherit nixosContainer;
                system.stateVersion = lib.trivial.release;
              }
            ];
          };
        in
        builtins.seq (builtins.unsafeDiscardStringContext container.drvPath) container.data
      ) every
    )
  );
}
