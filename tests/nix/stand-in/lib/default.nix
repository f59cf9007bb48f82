# A library that stands in for nixpkgs' lib in the tests, where no nixpkgs can be had: what files of this project's nix/
# folder use of it, with the same meaning, and nothing else. No line of it is nixpkgs' own.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    elemAt
    filter
    foldl'
    isList
    isString
    length
    listToAttrs
    mapAttrs
    split
    ;
  modules = import ./modules.nix { inherit lib; };
  types = import ./types.nix { inherit lib; };
  lib = modules // {
    inherit types;
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      concatMap
      concatStringsSep
      elem
      filter
      foldl'
      genList
      head
      isAttrs
      isBool
      isInt
      isList
      isString
      length
      listToAttrs
      mapAttrs
      match
      replaceStrings
      stringLength
      tail
      ;

    id = value: value;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: set: if condition then set else { };
    nameValuePair = name: value: { inherit name value; };
    filterAttrs =
      keep: set:
      removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrs' = change: set: listToAttrs (map (name: change name set.${name}) (attrNames set));
    mapAttrsToList = change: set: map (name: change name set.${name}) (attrNames set);
    genAttrs = names: value: listToAttrs (map (name: lib.nameValuePair name (value name)) names);
    getAttrs = names: set: lib.genAttrs names (name: set.${name});
    recursiveUpdate =
      left: right:
      left
      // mapAttrs (
        name: value:
        if builtins.isAttrs value && builtins.isAttrs (left.${name} or null) then
          lib.recursiveUpdate left.${name} value
        else
          value
      ) right;
    intersectLists = left: filter (value: elem value left);
    subtractLists = left: filter (value: !elem value left);
    unique = foldl' (found: value: if elem value found then found else found ++ [ value ]) [ ];
    count = test: values: length (filter test values);
    last = values: elemAt values (length values - 1);
    flatten = value: if isList value then concatMap lib.flatten value else [ value ];
    splitString = separator: text: filter isString (split (lib.escapeRegex separator) text);
    escapeRegex = builtins.replaceStrings [ "." "+" "*" ] [ "\\." "\\+" "\\*" ];
    concatMapStringsSep =
      separator: text: values:
      builtins.concatStringsSep separator (map text values);
    concatLines = lib.concatMapStringsSep "" (line: line + "\n");
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    isFunction = value: builtins.isFunction value || (value ? __functor);
  };
in
lib
