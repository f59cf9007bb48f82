# The types of options of the stand-in for nixpkgs' lib. In: that lib. Out: types by the names nixpkgs has for them, each
# with a description, a check and a way to merge definitions.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    isAttrs
    isBool
    isInt
    isList
    isString
    ;
  inherit (lib) mkOptionType mergeEqualOption;

  simple =
    name: description: check:
    mkOptionType { inherit name description check; };
  # What holds several types needs brackets inside another one.
  inner =
    type:
    if (type.descriptionClass or null) == "conjunction" then "(${type.description})" else type.description;
  merged =
    path: type: definitions:
    (lib.mergeDefinitions path type definitions).mergedValue;
in
rec {
  unspecified = mkOptionType {
    name = "unspecified";
    description = "unspecified value";
    merge =
      path: definitions:
      let
        values = map (definition: definition.value) definitions;
      in
      if all isAttrs values && builtins.length values > 1 then
        builtins.foldl' (a: b: a // b) { } values
      else if all isList values then
        builtins.concatLists values
      else
        (builtins.head definitions).value;
  };
  anything = unspecified;
  raw = unspecified;
  attrs = simple "attrs" "attribute set" isAttrs // {
    merge = _: definitions: builtins.foldl' (a: b: a // b.value) { } definitions;
  };
  bool = simple "bool" "boolean" isBool;
  int = simple "int" "signed integer" isInt;
  str = simple "str" "string" isString;
  lines = str // {
    merge =
      _: definitions: builtins.concatStringsSep "\n" (map (definition: definition.value) definitions);
  };
  path = simple "path" "absolute path" (
    value:
    builtins.isPath value
    || (isAttrs value && value ? outPath)
    || (isString value && builtins.substring 0 1 value == "/")
  );
  package = simple "package" "package" (value: isAttrs value && value ? outPath);
  port = addCheck int (value: value >= 0 && value <= 65535) // {
    description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)";
  };
  enum =
    values:
    mkOptionType {
      name = "enum";
      description =
        if builtins.length values == 1 then
          "value ${builtins.toJSON (builtins.head values)} (singular enum)"
        else
          "one of ${builtins.concatStringsSep ", " (map builtins.toJSON values)}";
      descriptionClass = "conjunction";
      check = value: builtins.elem value values;
    };
  addCheck = type: check: type // { check = value: type.check value && check value; };
  nullOr =
    type:
    mkOptionType {
      name = "nullOr";
      description = "null or ${inner type}";
      descriptionClass = "conjunction";
      check = value: value == null || type.check value;
      merge =
        place: definitions:
        if all (definition: definition.value == null) definitions then
          null
        else
          merged place type definitions;
    };
  either =
    a: b:
    mkOptionType {
      name = "either";
      description = "${inner a} or ${inner b}";
      descriptionClass = "conjunction";
      check = value: a.check value || b.check value;
      merge =
        place: definitions:
        if all (definition: a.check definition.value) definitions then
          a.merge place definitions
        else if all (definition: b.check definition.value) definitions then
          b.merge place definitions
        else
          mergeEqualOption place definitions;
    };
  oneOf = types: builtins.foldl' either (builtins.head types) (builtins.tail types);
  listOf =
    type:
    mkOptionType {
      name = "listOf";
      description = "list of ${inner type}";
      descriptionClass = "composite";
      check = isList;
      merge =
        place: definitions:
        concatMap (
          definition:
          map (
            value: merged (place ++ [ "*" ]) type [ (definition // { inherit value; }) ]
          ) definition.value
        ) definitions;
    };
  attrsOf =
    type:
    mkOptionType {
      name = "attrsOf";
      description = "attribute set of ${inner type}";
      descriptionClass = "composite";
      check = isAttrs;
      merge =
        place: definitions:
        let
          at =
            name:
            concatMap (
              definition:
              lib.optional (definition.value ? ${name}) (
                definition // { value = definition.value.${name}; }
              )
            ) definitions;
          values = builtins.mapAttrs (name: _: lib.mergeDefinitions (place ++ [ name ]) type (at name)) (
            lib.genAttrs (concatMap (definition: attrNames definition.value) definitions) (_: null)
          );
        in
        builtins.mapAttrs (_: value: value.mergedValue) (lib.filterAttrs (_: value: value.isDefined) values);
      nestedTypes.elemType = type;
    };
  lazyAttrsOf = attrsOf;
  submodule =
    module:
    mkOptionType {
      name = "submodule";
      description = "submodule";
      check = value: isAttrs value || builtins.isFunction value || path.check value;
      merge =
        place: definitions:
        (lib.evalModules {
          prefix = place;
          specialArgs.name = lib.last place;
          modules = [
            module
          ]
          ++ map (definition: {
            _file = definition.file;
            config = definition.value;
          }) definitions;
        }).config;
    };
}
