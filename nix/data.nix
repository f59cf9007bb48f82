# Returns the options of a container as they are in `container` of an intent and, with a version, in data.json of a profile.
# Options that have their default are left out, so that a profile needs no newer nixos-nspawn than its options do.
{ lib }:
settings:
let
  # An intent says what `hardening` means, and is for its own host.
  declarations = removeAttrs (import ./options.nix { inherit lib; }) [
    "hardening"
    "hosts"
  ];
  inherit (import ./elements.nix { inherit lib; }) elements;

  syntax = import ./syntax.nix;

  # The defaults in an intent of options that have a different default in Nix.
  unnamed = {
    userNamespacing = false;
  };

  # Otherwise it is a set of declarations.
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
        else if value == unnamed.${name} or option.default or null then
          null
        else if elements ? ${name} then
          map (element elements.${name}) value
        else
          value
      ) options
    );

  # Short forms are strings and stay as they are.
  element =
    options: value: if builtins.isAttrs value then differing options value else value;

  strict = settings.hardening == "strict";
  bindMount =
    given:
    let
      # Without a mapping, the files would belong to nobody inside.
      short = if settings.userNamespacing then syntax.mapOwners given else given;
      parts = if builtins.isString given then syntax.bindParts short else given;
    in
    # A short form cannot say that it is read-only.
    if builtins.isString given && !(strict && parts != null) then
      short
    else
      removeAttrs parts [ "readOnly" ]
      // lib.optionalAttrs (parts.readOnly or strict) { readOnly = true; };

  # A null setting is not set.
  free = lib.filterAttrs (_: value: value != null);
  clean =
    data:
    data
    // lib.optionalAttrs (data ? nspawnConfig) {
      nspawnConfig = builtins.mapAttrs (_: free) data.nspawnConfig;
    }
    // lib.optionalAttrs (data ? bindMounts) { bindMounts = map bindMount data.bindMounts; }
    // lib.optionalAttrs (data ? environment) { environment = free data.environment; }
    // lib.optionalAttrs (data ? rlimits) { rlimits = free data.rlimits; }
    // lib.optionalAttrs (data ? serviceConfig) { serviceConfig = free data.serviceConfig; }
    // lib.optionalAttrs (data ? unitConfig) { unitConfig = free data.unitConfig; };
in
clean (differing declarations settings)
