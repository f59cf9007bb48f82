# The types of container options, and the options of the elements of lists. In: nixpkgs' lib. Out: types that refuse
# what systemd or nixos-nspawn would refuse later, so that Nix names the option and the file the mistake is in.
# The patterns are those of units/src (name.rs, value.rs, intent/), and docs/nixos-nspawn.schema.json has them as well.
{ lib }:
let
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    elem
    filter
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isPath
    isString
    match
    split
    stringLength
    ;
  inherit (lib) mkOption types;

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

  # What a composed type is called. nixpkgs would put it together from its parts, in words that its releases change.
  called = description: type: type // {
    inherit description;
    descriptionClass = "noun";
  };

  intBetween =
    low: high:
    types.addCheck types.int (value: value >= low && value <= high)
    // {
      name = "intBetween";
      description = "integer between ${toString low} and ${toString high}";
      descriptionClass = "noun";
    };

  parts = path: filter isString (split "/" path);
  isAbsolute =
    path:
    match "/[^[:cntrl:]]*" path != null
    && match ".*[ \\\\]" path == null
    && !(any (part: part == "." || part == ".." || stringLength part > 255) (parts path))
    && stringLength path < 4096;

  # `A:B` with a backslash before a `:` that belongs to a path, as systemd.nspawn(5) has it.
  field = "([^:\\\\]|\\\\.)*";
  bindOption = "(rbind|norbind|idmap|noidmap|rootidmap|owneridmap)";
  isBind =
    value:
    let
      found = match "(\\+?(/${field}))?(:(/${field})(:${bindOption}(,${bindOption})*)?)?" value;
      paths = filter (path: path != null) [
        (builtins.elemAt found 1)
        (builtins.elemAt found 4)
      ];
    in
    value != "" && found != null && all isAbsolute paths;

  isInterface =
    value:
    match "[!-~]{1,15}" value != null
    && match ".*[/:%\\\\\"'].*" value == null
    && match "[0-9]+" value == null
    && !(elem value [
      "."
      ".."
      "all"
      "default"
    ]);

  # `OUTSIDE[:INSIDE]`, where a name inside follows the same rules.
  isInterfacePair =
    value:
    let
      names = filter isString (split ":" value);
    in
    builtins.length names <= 2 && all isInterface names;

  # [ protocol address hostPort containerPort ] of a short form; null if it is none.
  portParts =
    value:
    let
      octet = "[0-9]{1,3}";
      address = "${octet}\\.${octet}\\.${octet}\\.${octet}|\\[[0-9a-fA-F:.]+]";
      port = "([0-9]{1,5})";
      found = match "((tcp|udp):)?((${address}):)?${port}(:${port})?" value;
      at = builtins.elemAt found;
    in
    if found == null then
      null
    else
      {
        protocol = if at 1 == null then "tcp" else at 1;
        hostAddress = if at 3 == null then null else unbracketed (at 3);
        hostPort = number (at 4);
        containerPort = if at 6 == null then null else number (at 6);
      };
  unbracketed =
    address:
    let
      found = match "\\[(.*)]" address;
    in
    if found == null then address else builtins.head found;
  # Leading zeros are no JSON.
  number =
    digits:
    let
      found = match "0*([0-9]*)" digits;
      rest = builtins.head found;
    in
    if rest == "" then 0 else builtins.fromJSON rest;
  isPort = value: value >= 1 && value <= 65535;
  isForward =
    value:
    let
      found = portParts value;
    in
    found != null
    && isPort found.hostPort
    && (found.containerPort == null || isPort found.containerPort)
    && (found.hostAddress == null || isAddress found.hostAddress);
  isAddress =
    value:
    let
      octets = filter isString (split "\\." value);
      v4 =
        builtins.length octets == 4
        && all (octet: match "[0-9]{1,3}" octet != null && number octet <= 255) octets;
    in
    v4 || (match "[0-9a-fA-F:.]*:[0-9a-fA-F:.]*" value != null && stringLength value >= 2);

  isCredential =
    value:
    match "[!-~]{1,255}" value != null
    && match ".*[/:\\\\\"'$].*" value == null
    && value != "."
    && value != "..";

  # A value of a free-form setting, as systemd.nspawn options of NixOS take them.
  isAtom =
    value:
    isBool value
    || isInt value
    || isPath value
    || (isString value && isOneLine value)
    || (isAttrs value && value ? outPath);
  isOneLine =
    value: match "[^[:cntrl:]]*" value != null && match "[ \t].*|.*[ \t]" value == null;

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

  label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
  # Sizes, numbers, time spans or nice levels, by the name of the limit.
  limit = "[0-9A-Za-z.+-]+( [0-9a-z]+)*";
  # Up to the whole of it.
  share = "(100(\\.0{1,2})?|[0-9]{1,2}(\\.[0-9]{1,2})?)%";
  amount =
    name: description: pattern:
    text name description (value: match pattern value != null && match "[0.]*[BKMGTPE%]?" value == null);
in
rec {
  inherit portParts intBetween called;

  nullOr = type: called "null or ${type.description}" (types.nullOr type);
  listOf = type: called "list of ${type.description}" (types.listOf type);

  machineName =
    text "machineName" "machine name"
      # Labels of letters, digits and `-`, and no ending that means something to systemd or to nixos-nspawn.
      (
        value:
        match "${label}(\\.${label})*" value != null
        && stringLength value <= 64
        && match ".*\\.(raw|v|mstack|nspawn)|.*-running|.*-pin-[0-9]*|host" value == null
      );
  interfaceName = text "interfaceName" "network interface name of at most 15 characters" isInterface;
  interfacePair = text "interfacePair" "network interface names, or OUTSIDE:INSIDE" isInterfacePair;
  zoneName = text "zoneName" "zone name of at most 12 characters" (
    value: stringLength value <= 12 && value != "" && isInterface "vz-${value}"
  );
  hostname = text "hostname" "host name" (
    value: match "${label}(\\.${label})*" value != null && stringLength value <= 64
  );
  absolutePath = text "absolutePath" "absolute path" isAbsolute;
  timespan =
    matching "timespan" "time span such as 90s or 5min 20s"
      " *(infinity|([0-9.]+ *[a-zA-Zµμ]* *)+)";
  systemCallFilter =
    matching "systemCallFilter" "system calls and @groups, `~` in front denies them"
      "~?@?[a-zA-Z0-9_-]+( +@?[a-zA-Z0-9_-]+)*";
  memory = called "size such as 512M or 1.5G, number of bytes, percentage, or infinity" (
    types.either (intBetween 1 9223372036854775807) (
      amount "memory" "size" "[0-9]+[BKMGTPE]?|[0-9]+\\.[0-9]+[KMGTPE]|${share}|infinity"
    )
  );
  tasks = called "positive integer, percentage, or infinity" (
    types.either (intBetween 1 9223372036854775807) (
      amount "tasks" "percentage" "[1-9][0-9]*|${share}|infinity"
    )
  );
  percentage = amount "percentage" "percentage" "[0-9]+(\\.[0-9]{1,2})?%";
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
      (nullOr (
        types.either (intBetween 0 9223372036854775807) (
          matching "rlimit" "number, SOFT:HARD or infinity" "${limit}(:${limit})?"
        )
      ));
  capability = matching "capability" "capabilities such as CAP_NET_ADMIN, or all" "all|CAP_[A-Z0-9_]+";
  temporaryFileSystem =
    text "temporaryFileSystem" "absolute paths, or PATH:OPTIONS"
      (
        value:
        let
          found = match "(/${field})(:[^[:cntrl:]]+)?" value;
        in
        found != null && isAbsolute (builtins.head found)
      );
  environment = keyed (name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null) "attribute set of strings" (
    nullOr (matching "environmentValue" "string of one line" "[^[:cntrl:]]*")
  );
  credentialId = text "credentialId" "credential id" isCredential;
  credentialSource = text "credentialSource" "absolute path, or name of a credential of the host" (
    value: isAbsolute value || isCredential value
  );
  # What ends like a unit is one, an instance if it has an `@`.
  unitOrContainer = text "unitOrContainer" "names of containers or units" (
    value:
    let
      found = match "(.*)\\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)" value;
      prefix = builtins.head found;
    in
    if found == null then
      machineName.check value
    else
      match "[a-zA-Z0-9:_.\\\\-]([a-zA-Z0-9:_.@\\\\-]*[a-zA-Z0-9:_.\\\\-])?" prefix != null
      && stringLength value <= 255
  );

  # A .network unit, written as systemd.network.networks.<name> of NixOS.
  networkUnit = called "attribute set as in systemd.network.networks.<name>" (types.attrsOf json);

  # Settings of one section, without a list of what there is: the host's systemd may be newer than this file.
  section = keyed (name: match "[a-zA-Z0-9-]+" name != null) "attribute set of settings" (
    lib.mkOptionType {
      name = "setting";
      description = "boolean, integer, string, or list of these";
      descriptionClass = "conjunction";
      check = value: value == null || isAtom value || (isList value && all isAtom value);
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

  # What the elements of these lists may be, written out. The short forms are strings.
  elements = {
    forwardPorts = {
      hostPort = mkOption {
        type = intBetween 1 65535;
        example = 8080;
        description = "The port on the host.";
      };
      containerPort = mkOption {
        type = nullOr (intBetween 1 65535);
        default = null;
        example = 80;
        description = "The port inside; the same as on the host if null.";
      };
      protocol = mkOption {
        type = types.enum [
          "tcp"
          "udp"
        ];
        default = "tcp";
        description = "The transport protocol.";
      };
      hostAddress = mkOption {
        type = nullOr (text "address" "IPv4 or IPv6 address" isAddress);
        default = null;
        example = "127.0.0.1";
        description = ''
          The one address of the host that the port is open on, all if null. It may be a loopback address, which
          systemd-nspawn cannot forward by itself; a socket unit in the container's life cycle does it then, for TCP only.
        '';
      };
      startOnConnect = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the first connection starts the container. For TCP only.";
      };
    };
    bindMounts = {
      source = mkOption {
        type = absolutePath;
        example = "/srv/data";
        description = "The path of the host that is mounted.";
      };
      destination = mkOption {
        type = nullOr absolutePath;
        default = null;
        example = "/data";
        description = "Where it is seen inside; at the same path if null.";
      };
      readOnly = mkOption {
        type = types.bool;
        default = false;
        description = "Whether it can only be read inside (`BindReadOnly=`).";
      };
      recursive = mkOption {
        type = types.bool;
        default = true;
        description = "Whether mounts below the source are seen as well.";
      };
      idmap = mkOption {
        type = nullOr (
          types.enum [
            "noidmap"
            "idmap"
            "rootidmap"
            "owneridmap"
          ]
        );
        default = null;
        description = ''
          How owners outside are mapped to owners inside under `userNamespacing`, see {manpage}`systemd-nspawn(1)`. If
          null, each keeps its number. Without `userNamespacing` there is nothing to map.
        '';
      };
    };
    credentials = {
      id = mkOption {
        type = credentialId;
        example = "token";
        description = "The name by which services inside load it.";
      };
      path = mkOption {
        type = nullOr credentialSource;
        default = null;
        example = "/run/keys/token";
        description = ''
          An absolute path on the host, or the name of a credential in the host's credential store; the one called like
          `id` if null.
        '';
      };
      encrypted = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether the file is encrypted by {manpage}`systemd-creds(1)`. It is decrypted when the container starts
          (`LoadCredentialEncrypted=`).
        '';
      };
    };
    devices = {
      path = mkOption {
        type = device;
        example = "/dev/ttyUSB0";
        description = "The device node.";
      };
      permissions = mkOption {
        type = permissions;
        default = "rwm";
        description = "What is allowed: any of `r` (read), `w` (write) and `m` (make the node).";
      };
    };
  };

  device = text "device" "path below /dev" (
    value: match "/dev/.*[^/]" value != null && isAbsolute value
  );
  permissions = called "some of r, w and m" (
    types.addCheck types.str (value: match "r(w?m?|mw)|w(r?m?|mr)|m(r?w?|wr)" value != null)
  );

  # A submodule could also be a function, or the path of a file, as which it would take a short form that is wrong.
  attributes = options: types.addCheck (types.submodule { inherit options; }) isAttrs;

  # Lists of these, so that their descriptions are in the plural.
  forwardPort = called "[PROTOCOL:][ADDRESS:]HOST-PORT[:CONTAINER-PORT], or attribute sets" (
    types.either (text "forwardPort" "port" isForward) (
      attributes elements.forwardPorts
    )
  );
  bindMount = called "SOURCE[:DESTINATION[:OPTIONS]], or attribute sets" (
    types.either (text "bindMount" "bind mount" isBind) (
      attributes elements.bindMounts
    )
  );
  credential = called "attribute sets" (attributes elements.credentials);
  deviceOrPath = called "PATH[:PERMISSIONS], or attribute sets" (
    types.either (text "device" "device" isDevice) (attributes elements.devices)
  );
  # Names below /dev/disk/by-path have a `:` as well: a few letters behind the last one are permissions.
  isDevice =
    value:
    let
      found = match "(.*):([a-z]{1,3})" value;
    in
    if found == null then
      device.check value
    else
      device.check (builtins.head found) && permissions.check (lib.last found);
}
