# The module system of the stand-in for nixpkgs' lib. In: modules. Out: `config` and `options`, evaluated lazily, each
# definition checked against the type of its option. Known are `imports`, `mkIf`, `mkMerge`, `mkOverride` and what is
# made of it, and `apply`, also where an option is declared again to have one; not known are other options that are declared
# twice, `disabledModules` and free-form types.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    functionArgs
    isAttrs
    isFunction
    isList
    mapAttrs
    ;

  place = path: builtins.concatStringsSep "." path;
  fail =
    path: type: definitions:
    throw "A definition for option `${place path}' is not of type `${type.description}'. Definition values:${
      builtins.concatStringsSep "" (
        map (definition: "\n- In `${definition.file}': ${shown definition.value}") definitions
      )
    }";
  shown = value: if isFunction value then "<function>" else builtins.toJSON value;

  # The definitions that a value with conditions and lists of definitions stands for; each keeps its priority.
  discharge =
    definition:
    let
      inherit (definition) value;
      type = if isAttrs value then value._type or null else null;
    in
    if type == "if" then
      if value.condition then discharge (definition // { value = value.content; }) else [ ]
    else if type == "merge" then
      concatMap (content: discharge (definition // { value = content; })) value.contents
    else if type == "override" then
      map (inner: inner // { priority = inner.priority or value.priority; }) (
        discharge (definition // { value = value.content; })
      )
    else if type == "order" then
      discharge (definition // { value = value.content; })
    else
      [ definition ];

  strongest =
    definitions:
    let
      priority = definition: definition.priority or 100;
      best = foldl' (
        least: definition: if priority definition < least then priority definition else least
      ) 9999 definitions;
    in
    map (definition: removeAttrs definition [ "priority" ]) (
      filter (definition: priority definition == best) definitions
    );

  mergeDefinitions =
    path: type: definitions:
    let
      inForce = strongest (concatMap discharge definitions);
      wrong = filter (definition: !type.check definition.value) inForce;
    in
    {
      isDefined = inForce != [ ];
      mergedValue =
        if inForce == [ ] then
          throw "The option `${place path}' was accessed but has no value defined. Try setting the option."
        else if wrong != [ ] then
          fail path type wrong
        else
          type.merge path inForce;
    };

  evaluateOption =
    path: option: definitions:
    let
      default = lib.optional (option ? default) {
        file = "the default";
        value = option.default;
        priority = 1500;
      };
      merged =
        (mergeDefinitions path (option.type or lib.types.unspecified) (
          default ++ definitions
        )).mergedValue;
    in
    (option.apply or (value: value)) merged;

  # The same for a set that has options in it, where a condition may need their values: it goes on to each attribute.
  push =
    definition:
    let
      inherit (definition) value;
      type = value._type or null;
      inward =
        content:
        map (
          inner:
          inner
          // {
            value = mapAttrs (_: inside: value // { content = inside; }) inner.value;
          }
        ) (push (definition // { value = content; }));
    in
    if type == "merge" then
      concatMap (content: push (definition // { value = content; })) value.contents
    else if type != null then
      inward value.content
    else
      [ definition ];

  # The definitions of one attribute, from those of the set around it.
  below =
    name: definitions:
    concatMap (
      definition:
      lib.optional (definition.value ? ${name}) (definition // { value = definition.value.${name}; })
    ) (concatMap push definitions);

  evaluateLevel =
    path: declarations: definitions:
    mapAttrs (
      name: declaration:
      let
        here = path ++ [ name ];
      in
      (if lib.isOption declaration then evaluateOption else evaluateLevel) here declaration (
        below name definitions
      )
    ) declarations;

  # The declarations, with what there is to know of each.
  describeLevel =
    path: declarations: definitions:
    mapAttrs (
      name: declaration:
      let
        here = path ++ [ name ];
        inner = below name definitions;
      in
      if lib.isOption declaration then
        let
          discharged = concatMap discharge inner;
          found = strongest discharged;
        in
        declaration
        // {
          loc = here;
          definitions = map (definition: definition.value) found;
          definitionsWithLocations = found;
          files = map (definition: definition.file) found;
          highestPrio = foldl' (
            least: definition:
            let
              priority = definition.priority or 100;
            in
            if priority < least then priority else least
          ) (if declaration ? default then 1500 else 9999) discharged;
          value = evaluateOption here declaration inner;
        }
      else
        describeLevel here declaration inner
    ) declarations;

  # Definitions of what is no option.
  unknown =
    path: declarations: definitions:
    concatMap (
      definition:
      concatMap (
        name:
        let
          here = path ++ [ name ];
        in
        if !(declarations ? ${name}) then
          [
            "The option `${place here}' does not exist. Definition values:\n- In `${definition.file}': ${shown definition.value.${name}}"
          ]
        else if lib.isOption declarations.${name} then
          [ ]
        else
          unknown here declarations.${name} [ (definition // { value = definition.value.${name}; }) ]
      ) (attrNames definition.value)
    ) (concatMap push definitions);

  declaresApply =
    declaration:
    attrNames declaration == [
      "_type"
      "apply"
    ];
  mergeDeclarations =
    path: a: b:
    a
    // mapAttrs (
      name: declaration:
      if !(a ? ${name}) then
        declaration
      else if declaresApply declaration then
        a.${name} // declaration
      else if declaresApply a.${name} then
        declaration // a.${name}
      else if lib.isOption declaration || lib.isOption a.${name} then
        throw "The option `${place (path ++ [ name ])}' is declared twice."
      else
        mergeDeclarations (path ++ [ name ]) a.${name} declaration
    ) b;

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      # Whether definitions without an option are an error. NixOS has more options than a stand-in can declare.
      check ? true,
      # Where they are an error all the same.
      checkedBelow ? [ ],
      modulesLocation ? "<unknown-file>",
    }:
    let
      arguments = {
        inherit lib config options;
        inherit (evaluated._module) args;
      }
      // evaluated._module.args
      // specialArgs;
      load =
        location: module:
        let
          isFile = builtins.isPath module || builtins.isString module;
          file = if isFile then toString module else location;
          loaded = if isFile then import module else module;
          # Only the arguments that are asked for by name are looked for.
          value =
            if isFunction loaded then
              loaded (
                mapAttrs (name: _: arguments.${name}) (functionArgs loaded)
                // {
                  inherit config options lib;
                }
                // specialArgs
              )
            else
              loaded;
          plain = !(value ? config || value ? options);
          own = {
            file = toString (value._file or file);
            options = if plain then { } else value.options or { };
            config =
              if plain then
                removeAttrs value [
                  "imports"
                  "_file"
                  "key"
                ]
              else
                value.config or { };
          };
        in
        [ own ] ++ concatMap (load own.file) (value.imports or [ ]);
      loaded = concatMap (load modulesLocation) modules;
      declarations =
        foldl' (mergeDeclarations prefix)
          {
            _module.args = lib.mkOption {
              type = lib.types.attrsOf lib.types.unspecified;
              default = { };
            };
          }
          (map (module: module.options) loaded);
      # As in NixOS, definitions of the last module come first.
      definitions = lib.reverseList (
        map (module: {
          inherit (module) file;
          value = module.config;
        }) loaded
      );
      evaluated = evaluateLevel prefix declarations definitions;
      config = removeAttrs evaluated [ "_module" ];
      options = describeLevel prefix declarations definitions;
      checked =
        definition:
        definition
        // {
          value = lib.filterAttrs (name: _: builtins.elem name checkedBelow) definition.value;
        };
      strangers = unknown prefix declarations (
        if check then definitions else map checked (concatMap push definitions)
      );
    in
    {
      inherit options;
      config = if strangers == [ ] then config else throw (builtins.head strangers);
    };
in
{
  inherit evalModules mergeDefinitions;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOptionDefault = lib.mkOverride 1500;
  mkDefault = lib.mkOverride 1000;
  mkForce = lib.mkOverride 50;
  # The order of definitions is that of modules.
  mkBefore = content: {
    _type = "order";
    inherit content;
  };
  mkAfter = lib.mkBefore;

  mergeEqualOption =
    path: definitions:
    let
      inherit (builtins.head definitions) value;
    in
    if builtins.all (definition: definition.value == value) definitions then
      value
    else
      throw "The option `${place path}' has conflicting definition values:${
        builtins.concatStringsSep "" (
          map (definition: "\n- In `${definition.file}': ${shown definition.value}") definitions
        )
      }";

  mkOptionType =
    type:
    {
      check = _: true;
      merge = lib.mergeEqualOption;
      description = type.name;
    }
    // type
    // {
      _type = "option-type";
    };
}
