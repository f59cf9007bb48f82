# What nixos-nspawn is told of a container. In: nixpkgs' lib, the options of a container as they were set. Out: the
# attribute set that becomes `container` of an intent, or with a version data.json of a profile. What is at its default
# is left out, so that a profile needs no newer nixos-nspawn than its options do.
{ lib }:
settings:
let
  declarations = import ./options.nix { inherit lib; };
  inherit (import ./elements.nix { inherit lib; }) elements;

  # A name leads to a declaration, or to a set of further names.
  isDeclaration = value: value._type or null == "option";

  differing =
    options: values:
    lib.filterAttrs (_: value: value != null && value != { }) (
      builtins.mapAttrs (
        name: option:
        let
          value = values.${name};
        in
        if !isDeclaration option then
          differing option value
        else if value == option.default or null then
          null
        else if elements ? ${name} then
          map (element elements.${name}) value
        else
          value
      ) options
    );

  # The short forms stay as they are.
  element =
    options: value: if builtins.isAttrs value then differing options value else value;

  # Settings that are null are not set.
  free = lib.filterAttrs (_: value: value != null);
  clean =
    data:
    data
    // lib.optionalAttrs (data ? nspawnConfig) {
      nspawnConfig = builtins.mapAttrs (_: free) data.nspawnConfig;
    }
    // lib.optionalAttrs (data ? environment) { environment = free data.environment; }
    // lib.optionalAttrs (data ? rlimits) { rlimits = free data.rlimits; }
    // lib.optionalAttrs (data ? serviceConfig) { serviceConfig = free data.serviceConfig; }
    // lib.optionalAttrs (data ? unitConfig) { unitConfig = free data.unitConfig; };
in
clean (differing declarations settings)
