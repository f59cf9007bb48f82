# The reference of the options. In: nixpkgs' lib, or a stand-in for it. Out: `markdown`, which is docs/options.md,
# `mdoc`, which is man/nixos-nspawn-options.5, and `options`, what the tests read: names, defaults, examples. Read is
# what options.nix says and nothing else; descriptions are Markdown, of which paragraphs, code and fenced blocks are known.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elemAt
    filter
    isAttrs
    isBool
    isList
    isString
    length
    match
    replaceStrings
    split
    stringLength
    substring
    toJSON
    ;

  declarations = import ./options.nix { inherit lib; };
  inherit (import ./elements.nix { inherit lib; }) elements;

  # All options, with names like "activation.strategy".
  flat =
    prefix: set:
    concatMap (
      name:
      let
        value = set.${name};
      in
      if value._type or null == "option" then
        [ (value // { name = "${prefix}${name}"; }) ]
      else
        flat "${prefix}${name}." value
    ) (attrNames set);
  options = filter (option: !(option.internal or false)) (flat "" declarations);

  # In which order, under which headings. By the first part of the name.
  groups = [
    {
      title = "Life cycle";
      names = [
        "activation"
        "ephemeral"
        "timeoutStartSec"
        "after"
        "requires"
        "wants"
        "declarative"
      ];
    }
    {
      title = "Files";
      names = [
        "bindMounts"
        "tmpfs"
        "inaccessiblePaths"
        "credentials"
        "mountDaemonSocket"
      ];
    }
    {
      title = "Network";
      names = [
        "network"
        "zone"
        "bridge"
        "hostNetworkConfig"
        "containerNetworkConfig"
        "forwardPorts"
        "macvlan"
        "ipvlan"
        "interfaces"
        "extraVeths"
        "namespacePath"
        "resolvConf"
      ];
    }
    {
      title = "Users, devices and rights";
      names = [
        "userNamespacing"
        "capabilities"
        "systemCallFilter"
        "devices"
        "tun"
        "fuse"
        "kernelLog"
      ];
    }
    {
      title = "Limits";
      names = [
        "memoryMax"
        "memoryHigh"
        "cpuQuota"
        "cpuWeight"
        "ioWeight"
        "tasksMax"
        "oomScoreAdjust"
        "rlimits"
      ];
    }
    {
      title = "The system inside";
      names = [
        "hostname"
        "timezone"
        "environment"
      ];
    }
    {
      title = "Settings that have no option";
      names = [
        "nspawnConfig"
        "serviceConfig"
        "unitConfig"
      ];
    }
  ];
  first = name: elemAt (split "\\." name) 0;
  grouped = concatMap (group: group.names) groups;
  ungrouped = filter (option: !(builtins.elem (first option.name) grouped)) options;
  of = group: concatMap (name: filter (option: first option.name == name) options) group.names;

  indent = text: replaceStrings [ "\n" ] [ "\n  " ] text;
  # A value as it is written in Nix, on one line if it is short.
  shown =
    value:
    if isList value then
      brackets "[" "]" (map shown value)
    else if isAttrs value then
      brackets "{" "}" (map (name: "${name} = ${shown value.${name}};") (attrNames value))
    else if isString value || isBool value then
      toJSON value
    else if value == null then
      "null"
    else
      toString value;
  brackets =
    open: close: parts:
    let
      line = concatStringsSep " " ([ open ] ++ parts ++ [ close ]);
    in
    if parts == [ ] then
      "${open} ${close}"
    else if stringLength line <= 60 && match ".*\n.*" line == null && length parts < 2 then
      line
    else
      "${open}\n  ${indent (concatStringsSep "\n" parts)}\n${close}";

  # Paragraphs and fenced blocks of a description: { text } or { code }.
  blocks =
    description:
    let
      part = piece: text: if text == "" then [ ] else [ { ${piece} = text; } ];
      # Odd places are inside fences.
      pieces = filter isString (split "\n*```(nix)?\n?" "${description}\n");
      paragraphs =
        text:
        concatMap (paragraph: part "text" (trimmed (replaceStrings [ "\n" ] [ " " ] paragraph))) (
          filter isString (split "\n\n" text)
        );
      go =
        index:
        if index >= length pieces then
          [ ]
        else
          (
            if odd index then part "code" (elemAt pieces index) else paragraphs (elemAt pieces index)
          )
          ++ go (index + 1);
    in
    go 0;
  odd = number: number - number / 2 * 2 == 1;
  trimmed =
    text:
    let
      found = match "[ \n]*(.*[^ \n])[ \n]*" text;
    in
    if found == null then "" else elemAt found 0;

  # Markdown without the roles of NixOS's manual.
  plain = replaceStrings [ "{manpage}" "{option}" ] [ "" "" ];

  ### Markdown

  markdownDescription =
    description:
    concatStringsSep "\n\n" (
      map (block: if block ? text then plain block.text else "```nix\n${block.code}\n```") (
        blocks description
      )
    );
  # The default of what has options of its own, and what there is to say of it.
  facts =
    option:
    [ "type: ${option.type.description}" ]
    ++ (if option ? default then [ "default: `${shown option.default}`" ] else [ "required" ]);
  markdownElement =
    option:
    let
      description = concatStringsSep " " (map (block: plain block.text) (blocks option.description));
    in
    "- `${option.name}`, ${concatStringsSep ", " (facts option)}. ${description}";
  markdownOption =
    option:
    concatStringsSep "\n\n" (
      [
        "### `${option.name}`"
        (markdownDescription option.description)
        (concatStringsSep "\n" (map (fact: "- ${fact}") (facts option)))
      ]
      ++ lib.optional (option ? example) "Example:\n\n```nix\n${option.name} = ${shown option.example};\n```"
      ++ lib.optional (elements ? ${option.name}) "Written out, an element is an attribute set:\n\n${
        concatStringsSep "\n" (map markdownElement (flat "" elements.${option.name}))
      }"
    );

  ### mdoc(7)

  escaped = replaceStrings [ "\\" "\"" "~" "^" "`" "'" ] [
    "\\e"
    "\\(dq"
    "\\(ti"
    "\\(ha"
    "\\(ga"
    "\\(aq"
  ];
  # A word of a macro line: in quotes where blanks are, and never taken for a delimiter.
  argument =
    text:
    let
      safe = if match "[]().,:;?!|[]" text != null then "\\&${text}" else escaped text;
    in
    if match ".* .*" text != null || text == "" then "\"${safe}\"" else safe;
  # Running text: a line for each sentence, and none that begins like a macro.
  sentences =
    text:
    let
      broken = replaceStrings [ ". " "; " ] [ ".\n" ";\n" ] (trimmed text);
    in
    map (line: if match "[.'].*" line != null then "\\&${escaped line}" else escaped line) (
      filter (line: isString line && line != "") (split "\n" broken)
    );
  mdocText =
    text:
    let
      pieces = split "(\\{(manpage|option)})?`([^`]*)`" text;
      # From a piece on; `open` is a bracket that belongs to the next macro.
      go =
        index: open:
        if index >= length pieces then
          [ ]
        else
          let
            piece = elemAt pieces index;
            next = if index + 1 < length pieces then elemAt pieces (index + 1) else "";
            punctuation = match "([]).,:;?!]*).*" next;
            closing = elemAt punctuation 0;
            bracketed = match "(.*)\\(" piece;
          in
          if isString piece then
            if bracketed != null then
              sentences (elemAt bracketed 0) ++ go (index + 1) "( "
            else
              sentences piece ++ go (index + 1) ""
          else
            [
              (
                concatStringsSep " " (
                  [ ".${macro piece open}" ] ++ filter (c: c != "") (filter isString (split "" closing))
                )
              )
            ]
            ++ go' (index + 1) (stringLength closing);
      # The text behind a macro, without the punctuation that stands on the macro's line.
      go' =
        index: taken:
        let
          piece = elemAt pieces index;
          rest = substring taken (stringLength piece) piece;
          bracketed = match "(.*)\\(" rest;
        in
        if bracketed != null then
          sentences (elemAt bracketed 0) ++ go (index + 1) "( "
        else
          sentences rest ++ go (index + 1) "";
      macro =
        piece: open:
        let
          role = elemAt piece 1;
          word = elemAt piece 2;
          page = match "(.*)\\(([0-9])\\)" word;
        in
        if role == "manpage" then
          "Xr ${open}${elemAt page 0} ${elemAt page 1}"
        else if role == "option" then
          "Ic ${open}${argument word}"
        else
          "Ql ${open}${argument word}";
    in
    go 0 "";
  literal =
    text:
    [ ".Bd -literal -offset indent" ]
    ++ map (line: if match "[.'].*" line != null then "\\&${escaped line}" else escaped line) (
      filter isString (split "\n" text)
    )
    ++ [ ".Ed" ];
  mdocBlocks =
    description:
    let
      parts = map (block: if block ? text then mdocText block.text else literal block.code) (
        blocks description
      );
    in
    builtins.head parts
    ++ concatMap (
      part:
      # A display has its own space around it.
      (if substring 0 3 (builtins.head part) == ".Bd" then [ ] else [ ".Pp" ]) ++ part
    ) (builtins.tail parts);
  # The facts, between the name and the description.
  mdocFacts = option: [
    ".Em ${
      concatStringsSep " " (filter isString (split "[\n ]+" (escaped option.type.description)))
    } ;"
  ]
  ++ (
    if !(option ? default) then
      [ "required." ]
    else if match ".*\n.*" (shown option.default) == null then
      [
        "default"
        ".Ql ${argument (shown option.default)} ."
      ]
    else
      throw "${option.name}: a default of several lines"
  );
  mdocElements =
    options:
    [
      ".Pp"
      "Written out, an element is an attribute set:"
      ".Bl -tag -width Ds"
    ]
    ++ concatMap (
      option:
      [ ".It Cm ${option.name}" ] ++ mdocFacts option ++ [ ".br" ] ++ mdocBlocks option.description
    ) options
    ++ [ ".El" ];
  mdocOption =
    option:
    [ ".It Cm ${option.name}" ]
    ++ mdocFacts option
    ++ [ ".Pp" ]
    ++ mdocBlocks option.description
    ++ (
      if option ? example then
        [
          ".Pp"
          "Example:"
        ]
        ++ literal "${option.name} = ${shown option.example};"
      else
        [ ]
    )
    ++ (
      if elements ? ${option.name} then mdocElements (flat "" elements.${option.name}) else [ ]
    );
in
if ungrouped != [ ] then
  throw "options-doc.nix: no heading for ${concatStringsSep ", " (map (option: option.name) ungrouped)}"
else
  {
    options = map (option: {
      inherit (option) name;
      hasDefault = option ? default;
      default = option.default or null;
      example = option.example or null;
      elements = map (element: {
        inherit (element) name;
        hasDefault = element ? default;
        default = element.default or null;
      }) (if elements ? ${option.name} then flat "" elements.${option.name} else [ ]);
    }) options;

    markdown = ''
      # Options of a container

      <!-- Made by nix/options-doc.nix from nix/options.nix; do not edit. -->

      A container's NixOS configuration sets these as `nixosContainer.NAME`. In a host's configuration they are options
      of `nixos.containers.instances.<name>`, and in an intent, nixos-nspawn.json(5), they are fields of `container`.
      An option that is null, or an empty list, is not set. Settings in brackets, such as `Bind=`, are those of
      systemd.nspawn(5), systemd.exec(5) and systemd.resource-control(5) that it becomes.

      ${concatStringsSep "\n\n" (
        concatMap (group: [ "## ${group.title}" ] ++ map markdownOption (of group)) groups
      )}
    '';

    mdoc = concatStringsSep "\n" (
      [
        ".\\\" Made by nix/options-doc.nix from nix/options.nix; do not edit."
        ".Dd November 23, 2026"
        ".Dt NIXOS-NSPAWN-OPTIONS 5"
        ".Os nixos-nspawn"
        ".Sh NAME"
        ".Nm nixos-nspawn-options"
        ".Nd NixOS options of a container"
        ".Sh SYNOPSIS"
        ".Bd -literal"
        "{"
        "  nixosContainer.bindMounts = [ \\(dq/srv/data\\(dq ];"
        "}"
        ".Ed"
        ".Sh DESCRIPTION"
        "A container\\(aqs NixOS configuration sets these options as"
        ".Ic nixosContainer . Ns Ar NAME ."
        "In a host\\(aqs configuration they are options of"
        ".Ic nixos.containers.instances . Ns Ar NAME ,"
        "and in an intent,"
        ".Xr nixos-nspawn.json 5 ,"
        "they are fields of"
        ".Ql container ."
        "An option that is null, or an empty list, is not set."
        "Settings in brackets, such as"
        ".Ql Bind= ,"
        "are those of"
        ".Xr systemd.nspawn 5 ,"
        ".Xr systemd.exec 5"
        "and"
        ".Xr systemd.resource-control 5"
        "that it becomes."
        ".Sh OPTIONS"
      ]
      ++ concatMap (
        group:
        [
          ".Ss ${group.title}"
          ".Bl -tag -width Ds"
        ]
        ++ concatMap mdocOption (of group)
        ++ [ ".El" ]
      ) groups
      ++ [
        ".Sh SEE ALSO"
        ".Xr nixos-nspawn.json 5 ,"
        ".Xr systemd.nspawn 5 ,"
        ".Xr nixos-nspawn 8"
        ""
      ]
    );
  }
