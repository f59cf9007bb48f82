# The types of container options. They refuse what systemd or nixos-nspawn would refuse later, so that Nix names the option
# and the file that the mistake is in.
{ lib }:
let
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    elem
    isList
    match
    ;
  inherit (lib) types;
  known = import ./known.nix;
  syntax = import ./syntax.nix;

  # A string type of our own: `description` says what is allowed, for messages and for the reference.
  text =
    name: description: test:
    types.addCheck types.str test
    // {
      inherit name description;
      descriptionClass = "noun";
    };
  matching =
    name: description: pattern:
    text name description (value: match pattern value != null);

  # Sets the description of a composed type. nixpkgs would compose it from the parts, in words that differ between releases.
  called = description: type: type // {
    inherit description;
    descriptionClass = "noun";
  };

  # A type that says why it refuses a value. `problem` returns null where it has nothing to add.
  explained =
    problem: type:
    type
    // {
      check = value: type.check value || problem value != null;
      merge =
        place: definitions:
        let
          wrong = builtins.filter (definition: !type.check definition.value) definitions;
          first = builtins.head wrong;
        in
        if wrong == [ ] then
          type.merge place definitions
        else
          throw "A definition for option `${lib.showOption place}' is not of type `${type.description}': ${problem first.value}. Definition values:\n- In `${first.file}': ${builtins.toJSON first.value}";
    };

  intBetween =
    low: high:
    types.addCheck types.int (value: value >= low && value <= high)
    // {
      name = "intBetween";
      description = "integer between ${toString low} and ${toString high}";
      descriptionClass = "noun";
    };

  json = called "JSON value" (
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.str
        types.path
        (types.attrsOf json)
        (types.listOf json)
      ]
    )
  );

  keyed =
    names: description: element:
    types.addCheck (types.attrsOf element) (value: all (name: names name) (attrNames value))
    // {
      inherit description;
      descriptionClass = "composite";
    };

  # Sizes, numbers, time spans or nice levels, by the name of the limit.
  limit = "[0-9A-Za-z.+-]+( [0-9a-z]+)*";
  # Up to the whole of it.
  share = "(100(\\.0{1,2})?|(0|[1-9][0-9]?)(\\.[0-9]{1,2})?)%";
  amount =
    name: description: pattern:
    text name description (value: match pattern value != null && match "[0.]*[BKMGTPE%]?" value == null);
in
rec {
  inherit
    called
    explained
    intBetween
    text
    ;

  nullOr = type: called "null or ${type.description}" (types.nullOr type);
  listOf = type: called "list of ${type.description}" (types.listOf type);

  interfaceName = text "interfaceName" "network interface name of at most 15 characters" syntax.isInterface;
  interfacePair = text "interfacePair" "network interface names, or OUTSIDE:INSIDE" syntax.isInterfacePair;
  zoneName = text "zoneName" "zone name of at most 12 characters" syntax.isZone;
  hostname = text "hostname" "host name" syntax.isHostname;
  absolutePath = explained syntax.pathProblem (text "absolutePath" "absolute path" syntax.isAbsolute);
  line = matching "line" "text of one line" "[^[:cntrl:]]+";
  timespan =
    matching "timespan" "time span such as 90s or 5min 20s"
      " *(infinity|([0-9.]+ *[a-zA-Zµμ]* *)+)";
  systemCallFilter =
    matching "systemCallFilter" "system calls and @groups, `~` in front denies them"
      "~?@?[a-zA-Z0-9_-]+( +@?[a-zA-Z0-9_-]+)*";
  memory = called "size such as 512M or 1.5G, number of bytes, percentage, or infinity" (
    types.either (intBetween 1 9223372036854775807) (
      amount "memory" "size" "(0|[1-9][0-9]*)(\\.[0-9]+[KMGTPE]|[BKMGTPE]?)|${share}|infinity"
    )
  );
  tasks = called "positive integer, percentage, or infinity" (
    types.either (intBetween 1 9223372036854775807) (
      amount "tasks" "percentage" "[1-9][0-9]*|${share}|infinity"
    )
  );
  percentage = amount "percentage" "percentage" "(0|[1-9][0-9]*)(\\.[0-9]{1,2})?%";
  weight = intBetween 1 10000;
  cpuWeight = called "${weight.description}, or idle" (types.either weight (types.enum [ "idle" ]));
  rlimits =
    keyed
      (
        name:
        elem name [
          "AS"
          "CORE"
          "CPU"
          "DATA"
          "FSIZE"
          "LOCKS"
          "MEMLOCK"
          "MSGQUEUE"
          "NICE"
          "NOFILE"
          "NPROC"
          "RSS"
          "RTPRIO"
          "RTTIME"
          "SIGPENDING"
          "STACK"
        ]
      )
      "attribute set of resource limits"
      (
        nullOr (
          types.either (intBetween 0 9223372036854775807) (
            matching "rlimit" "number, SOFT:HARD or infinity" "${limit}(:${limit})?"
          )
        )
      );
  capability =
    explained
      (
        value:
        if builtins.isString value && elem "CAP_${value}" known.capabilities then
          "write CAP_${value}"
        else
          null
      )
      (
        text "capability" "capabilities such as CAP_NET_ADMIN, or all" (
          value: value == "all" || elem value known.capabilities
        )
      );
  temporaryFileSystem = explained syntax.pathProblem (
    text "temporaryFileSystem" "absolute paths, or PATH:OPTIONS" syntax.isTemporaryFileSystem
  );
  environment = keyed (name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null) "attribute set of strings" (
    nullOr (matching "environmentValue" "string of one line" "[^[:cntrl:]]*")
  );
  credentialId = text "credentialId" "credential id" syntax.isCredential;
  credentialSource = text "credentialSource" "absolute path, or name of a credential of the host" (
    value: syntax.isAbsolute value && match ".*[ \\\\].*" value == null || syntax.isCredential value
  );
  unitOrContainer = text "unitOrContainer" "names of containers or units" syntax.isUnitOrContainer;

  address = text "address" "IPv4 or IPv6 address" syntax.isAddress;
  device = text "device" "path below /dev" syntax.isDevice;
  permissions = called "some of r, w and m" (types.addCheck types.str syntax.isPermissions);

  # A .network unit, written as systemd.network.networks.<name> of NixOS.
  networkUnit = called "attribute set as in systemd.network.networks.<name>" (types.attrsOf json);

  # Settings of one section, without a list of valid names: the host's systemd may be newer than this file.
  section = keyed (name: match "[a-zA-Z0-9-]+" name != null) "attribute set of settings" (
    lib.mkOptionType {
      name = "setting";
      description = "boolean, integer, string, or list of these";
      descriptionClass = "conjunction";
      check = value: value == null || syntax.isAtom value || (isList value && all syntax.isAtom value);
      # Lists go on, as they do in systemd.nspawn options; anything else may be defined once, or alike.
      merge =
        location: definitions:
        let
          values = map (definition: definition.value) definitions;
        in
        if any isList values then
          concatMap (
            value:
            if value == null then
              [ ]
            else if isList value then
              value
            else
              [ value ]
          ) values
        else
          lib.mergeEqualOption location definitions;
    }
  );
}
