# The options as data, from which tests/src/options_doc makes docs/options.md and man/nixos-nspawn-options.5: a list of
# every option that is not internal, with the options of its elements where it is a list of attribute sets.
{ lib }:
let
  declarations = import ./options.nix { inherit lib; };
  inherit (import ./elements.nix { inherit lib; }) elements;
  namesInContainers = import ./names-in-containers.nix;

  # All options, with names like "activation.strategy", of the elements of an option or of a container.
  flat =
    elementOf: prefix: set:
    builtins.concatMap (
      name:
      let
        value = set.${name};
      in
      if value._type or null == "option" then
        lib.optional (!(value.internal or false)) (
          described "${prefix}${name}" value
          // lib.optionalAttrs (elementOf == null && namesInContainers ? "${prefix}${name}") {
            containers = namesInContainers."${prefix}${name}";
          }
        )
      else
        flat elementOf "${prefix}${name}." value
    ) (builtins.attrNames set);

  described =
    name: option:
    {
      inherit name;
      inherit (option) description;
      type = option.type.description;
      elements = if elements ? ${name} then flat name "" elements.${name} else [ ];
    }
    // lib.filterAttrs (attribute: _: option ? ${attribute}) {
      default = option.default or null;
      example = option.example or null;
    };
in
flat null "" declarations
