# The module system of the stand-in: options, definitions, imports, conditions and priorities. In: modules. Out: the
# configuration and the options. An option that does not exist and a value of a wrong type fail with nixpkgs' messages.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    filter
    foldl'
    functionArgs
    head
    isAttrs
    isFunction
    isPath
    isString
    mapAttrs
    match
    toJSON
    toString
    tryEval
    ;

  isKind = kind: value: isAttrs value && value._type or null == kind;
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  priorityOfDefaults = 1500;

  showOption = concatStringsSep ".";
  # One definition per line, with the file it stands in.
  showDefinitions =
    definitions:
    let
      text =
        value:
        let
          json = tryEval (toJSON value);
        in
        if isFunction value then
          "<function>"
        else if json.success then
          json.value
        else
          "<error>";
    in
    concatStringsSep "" (
      map ({ file, value }: "\n- In `${file}': ${text value}") definitions
    );

  # A definition as a list of plain ones, each with its priority.
  plain =
    definition:
    let
      inner = value: plain (definition // { inherit value; });
      inherit (definition) value;
    in
    if isKind "merge" value then
      concatMap inner value.contents
    else if isKind "if" value then
      if value.condition then inner value.content else [ ]
    else if isKind "override" value then
      map (found: found // { inherit (value) priority; }) (inner value.content)
    else
      [ ({ priority = 100; } // definition) ];

  # A definition of a set of options as definitions of plain attribute sets: conditions move down to their elements,
  # so that the names are known before the conditions are.
  sets =
    definition:
    let
      inner = value: sets (definition // { inherit value; });
      inherit (definition) value;
      pushed =
        wrap: content:
        map (found: found // { value = mapAttrs (_: wrap) found.value; }) (inner content);
    in
    if isKind "merge" value then
      concatMap inner value.contents
    else if isKind "if" value then
      pushed (lib.mkIf value.condition) value.content
    else if isKind "override" value then
      pushed (mkOverride value.priority) value.content
    else
      [ definition ];

  # The definitions that count, without their properties.
  counting =
    definitions:
    let
      found = concatMap plain definitions;
      highest = foldl' (least: one: if one.priority < least then one.priority else least) 9999 found;
    in
    map ({ file, value, ... }: { inherit file value; }) (
      filter (one: one.priority == highest) found
    );

  # The value of a type, of definitions at a place.
  merged =
    location: type: definitions:
    let
      found = counting definitions;
      wrong = filter ({ value, ... }: !type.check value) found;
    in
    if wrong != [ ] then
      throw "A definition for option `${showOption location}' is not of type `${type.description}'. Definition values:${showDefinitions wrong}"
    else
      type.merge location found;

  option =
    location: declared: definitions:
    let
      given =
        definitions
        ++ lib.optional (declared ? default) {
          file = "the declaration of the option";
          value = mkOverride priorityOfDefaults declared.default;
        };
      type = declared.type or lib.types.raw;
      value =
        if counting given == [ ] then
          throw "The option `${showOption location}' was accessed but has no value defined. Try setting the option."
        else
          merged location type given;
    in
    declared
    // {
      inherit type;
      loc = location;
      value = (declared.apply or (value: value)) value;
      definitions = map ({ value, ... }: value) (counting definitions);
      isDefined = counting given != [ ];
    };

  # The options of a tree with their values, and the definitions that no option takes.
  tree =
    location: declarations: definitions:
    let
      plainSets = concatMap sets definitions;
      of =
        name:
        concatMap (
          { file, value, ... }:
          lib.optional (value ? ${name}) {
            inherit file;
            value = value.${name};
          }
        ) plainSets;
      below = mapAttrs (
        name: declared:
        let
          here = location ++ [ name ];
        in
        if isKind "option" declared then
          {
            options = option here declared (of name);
            unknown = [ ];
          }
        else
          tree here declared (of name)
      ) declarations;
      names = lib.unique (concatMap ({ value, ... }: attrNames value) plainSets);
    in
    {
      options = mapAttrs (_: part: part.options) below;
      unknown =
        map (name: {
          location = location ++ [ name ];
          definitions = of name;
        }) (filter (name: !declarations ? ${name}) names)
        ++ concatLists (map (name: below.${name}.unknown) (attrNames below));
    };

  values = mapAttrs (_: part: if isKind "option" part then part.value else values part);

  # Declarations of several modules in one tree.
  declared = foldl' (
    left: right:
    left
    // mapAttrs (
      name: part:
      if !left ? ${name} then
        part
      else if isKind "option" part && isKind "option" left.${name} then
        left.${name} // part
      else
        declared [
          left.${name}
          part
        ]
    ) right
  ) { };
in
{
  inherit showOption mkOverride;
  inherit counting merged;
  mkOption = attrs: attrs // { _type = "option"; };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkBefore = value: value;
  mkAfter = value: value;
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };

  mergeEqualOption =
    location: definitions:
    let
      first = (head definitions).value;
    in
    if lib.all ({ value, ... }: value == first) definitions then
      first
    else
      throw "The option `${showOption location}' has conflicting definition values:${showDefinitions definitions}";

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      # What messages say of modules that are no files.
      file ? "<unknown-file>",
    }:
    let
      arguments = specialArgs // {
        inherit lib;
        inherit (result) options;
        config = unchecked;
      };
      called =
        module:
        if isFunction module then
          # What _module.args has is looked up only when it is used.
          module (
            arguments // mapAttrs (name: _: arguments.${name} or unchecked._module.args.${name}) (functionArgs module)
          )
        else
          module;
      load =
        file: module:
        if isPath module || isString module then
          load (toString module) (import module)
        else
          let
            content = called module;
            here = toString (content._file or file);
            whole = content ? config || content ? options;
          in
          [
            {
              file = here;
              options = content.options or { };
              value =
                if whole then content.config or { } else removeAttrs content [
                  "_file"
                  "imports"
                  "key"
                ];
            }
          ]
          ++ concatMap (load here) (content.imports or [ ]);
      own.options._module.args = lib.mkOption {
        type = lib.types.lazyAttrsOf lib.types.raw;
        default = { };
      };
      loaded = concatMap (load file) ([ own ] ++ modules);
      result = tree prefix (declared (map (module: module.options) loaded)) (
        map ({ file, value, ... }: { inherit file value; }) loaded
      );
      unchecked = values result.options;
      wrong = head result.unknown;
    in
    {
      inherit (result) options;
      config =
        if result.unknown == [ ] then
          unchecked
        else
          throw "The option `${showOption wrong.location}' does not exist. Definition values:${showDefinitions wrong.definitions}";
    };
}
