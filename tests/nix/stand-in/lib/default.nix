# Stands in for nixpkgs' lib where there is no nixpkgs: as much of it as the project's Nix files use, with the same names
# and meanings. In: nothing. Out: an attribute set of functions. The module system (modules.nix) and the types (types.nix)
# check and merge definitions as NixOS does, in its words, so that options and rules can be tested for what they refuse.
let
  lib = {
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      filter
      functionArgs
      genList
      head
      isAttrs
      isBool
      isFunction
      isInt
      isList
      isPath
      isString
      length
      mapAttrs
      tail
      ;

    # Lists
    init = list: builtins.genList (builtins.elemAt list) (builtins.length list - 1);
    reverseList =
      list:
      builtins.genList (
        index: builtins.elemAt list (builtins.length list - 1 - index)
      ) (builtins.length list);
    last = list: builtins.elemAt list (builtins.length list - 1);
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    count = predicate: list: builtins.length (builtins.filter predicate list);
    unique = builtins.foldl' (
      found: value: if builtins.elem value found then found else found ++ [ value ]
    ) [ ];
    intersectLists = a: builtins.filter (value: builtins.elem value a);
    flatten =
      value: if builtins.isList value then builtins.concatMap lib.flatten value else [ value ];
    toList = value: if builtins.isList value then value else [ value ];
    foldl' = builtins.foldl';

    imap0 = f: list: builtins.genList (index: f index (builtins.elemAt list index)) (builtins.length list);
    groupBy = builtins.groupBy;

    # Attribute sets
    filterAttrs =
      predicate: set:
      removeAttrs set (builtins.filter (name: !predicate name set.${name}) (builtins.attrNames set));
    optionalAttrs = condition: set: if condition then set else { };
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    mapAttrs' =
      f: set: builtins.listToAttrs (map (name: f name set.${name}) (builtins.attrNames set));
    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    setAttrByPath =
      path: value:
      if path == [ ] then
        value
      else
        { ${builtins.head path} = lib.setAttrByPath (builtins.tail path) value; };
    nameValuePair = name: value: { inherit name value; };

    # Strings
    splitString =
      separator: text:
      builtins.filter builtins.isString (builtins.split (lib.escapeRegex separator) text);
    escapeRegex = builtins.replaceStrings [ "\\" "." "[" "(" ")" "^" "$" "?" "*" "+" "|" "{" ] [
      "\\\\"
      "\\."
      "\\["
      "\\("
      "\\)"
      "\\^"
      "\\$"
      "\\?"
      "\\*"
      "\\+"
      "\\|"
      "\\{"
    ];
    toInt = builtins.fromJSON;
    concatMapStrings = function: list: builtins.concatStringsSep "" (map function list);
    concatMapStringsSep =
      separator: f: values:
      builtins.concatStringsSep separator (map f values);
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    versionOlder = a: b: builtins.compareVersions b a == 1;

    importTOML = path: builtins.fromTOML (builtins.readFile path);
    warn = message: builtins.trace "evaluation warning: ${message}";

    # Options
    mkOption = declaration: declaration // { _type = "option"; };
    mkEnableOption =
      name:
      lib.mkOption {
        type = lib.types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${name}.";
      };
    showOption = builtins.concatStringsSep ".";
    isOption = value: value._type or null == "option";
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };

    types = import ./types.nix { inherit lib; };
  }
  // import ./modules.nix { inherit lib; };
in
lib
