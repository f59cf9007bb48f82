# The types of options of the stand-in, each with nixpkgs' name and description: what a value must be, and what several
# definitions of one option come to.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    genList
    isAttrs
    isBool
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    toJSON
    ;
  inherit (lib) mergeEqualOption;

  simple = name: description: check: {
    _type = "option-type";
    inherit name description check;
    merge = mergeEqualOption;
  };
  composed = name: description: check: merge: {
    _type = "option-type";
    inherit
      name
      description
      check
      merge
      ;
  };
  # Elements of a list, each with a place of its own, so that it may be conditional.
  elements =
    location: { file, value, ... }: number:
    genList (at: {
      location = location ++ [ "[definition ${toString number}-entry ${toString (at + 1)}]" ];
      definition = {
        inherit file;
        value = builtins.elemAt value at;
      };
    }) (length value);
  attributes =
    description: element:
    composed "attrsOf" description isAttrs (
      location: definitions:
      let
        names = lib.unique (concatMap ({ value, ... }: attrNames value) definitions);
        of =
          name:
          concatMap (
            { file, value, ... }:
            lib.optional (value ? ${name}) {
              inherit file;
              value = value.${name};
            }
          ) definitions;
      in
      listToAttrs (
        map (name: {
          inherit name;
          value = lib.merged (location ++ [ name ]) element (of name);
        }) (lib.filter (name: lib.counting (of name) != [ ]) names)
      )
    );
in
rec {
  raw = composed "raw" "raw value" (_: true) (_: definitions: (lib.last definitions).value);
  unspecified = raw;
  anything = raw;
  bool = simple "bool" "boolean" isBool;
  int = simple "int" "signed integer" isInt;
  str = simple "str" "string" isString;
  path = simple "path" "absolute path" (value: isPath value || (isString value && lib.hasPrefix "/" value));
  lines = composed "lines" "strings concatenated with \"\\n\"" isString (
    _: definitions: concatStringsSep "\n" (map ({ value, ... }: value) definitions)
  );
  attrs = composed "attrs" "attribute set" isAttrs (
    _: definitions: builtins.foldl' (left: { value, ... }: left // value) { } definitions
  );
  enum = values: simple "enum" "one of ${concatStringsSep ", " (map toJSON values)}" (value: elem value values);
  addCheck = type: test: type // { check = value: type.check value && test value; };
  nullOr =
    type:
    composed "nullOr" "null or ${type.description}" (value: value == null || type.check value) (
      location: definitions:
      if lib.all ({ value, ... }: value == null) definitions then
        null
      else
        lib.merged location type definitions
    );
  either =
    first: second:
    composed "either" "${first.description} or ${second.description}"
      (value: first.check value || second.check value)
      (
        location: definitions:
        let
          type = if lib.all ({ value, ... }: first.check value) definitions then first else second;
        in
        lib.merged location type definitions
      );
  oneOf = types: builtins.foldl' either (builtins.head types) (builtins.tail types);
  listOf =
    element:
    composed "listOf" "list of ${element.description}" isList (
      location: definitions:
      map ({ location, definition }: lib.merged location element [ definition ]) (
        concatLists (genList (at: elements location (builtins.elemAt definitions at) (at + 1)) (length definitions))
      )
    );
  attrsOf = element: attributes "attribute set of ${element.description}" element;
  lazyAttrsOf = element: attributes "lazy attribute set of ${element.description}" element;
  submodule =
    module:
    composed "submodule" "submodule" (value: isAttrs value || builtins.isFunction value) (
      location: definitions:
      removeAttrs (lib.evalModules {
        prefix = location;
        modules = [
          module
        ]
        ++ map ({ file, value }: { _file = file; config = value; }) definitions;
      }).config [ "_module" ]
    );
}
