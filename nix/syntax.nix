# The syntax of strings in options, by the rules of units/src (name.rs, value.rs, intent/) and of
# docs/nixos-nspawn.schema.json: predicates, and the parts of a short form.
let
  inherit (builtins)
    all
    any
    elem
    filter
    isAttrs
    isBool
    isInt
    isPath
    isString
    match
    split
    stringLength
    ;

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

  # The reason for refusing a path or a bind mount; null if it is not a common mistake.
  pathProblem =
    value:
    if !isString value || match "/.*" value != null then null else "'${value}' is not absolute";
  bindProblem =
    value:
    let
      fields = filter isString (split ":" value);
      field = index: builtins.elemAt fields index;
      count = builtins.length fields;
    in
    if !isString value || isBind value then
      null
    else if count == 3 && (field 2 == "ro" || field 2 == "rw") then
      "option '${field 2}' is not known; write { source = \"${field 0}\"; destination = \"${field 1}\"; readOnly = ${
        if field 2 == "ro" then "true" else "false"
      }; }"
    else if match "\\+?/.*" (field 0) == null then
      "source '${field 0}' is not absolute"
    else if count > 1 && match "/.*" (field 1) == null then
      "destination '${field 1}' is not absolute"
    else
      null;

  # The path inside of `SOURCE[:DESTINATION[:OPTIONS]]` without escaped characters.
  bindDestination =
    value:
    let
      found = match "\\+?([^:]*)(:([^:]*).*)?" value;
      destination = builtins.elemAt found 2;
    in
    if destination == null then builtins.head found else destination;

  # The parts of the short form of a bind mount, as written; null if it mounts no path of the host.
  hostBind =
    value:
    let
      found = match "(/${field})(:(/${field}))?(:(${bindOption}(,${bindOption})*))?" value;
    in
    if found == null then
      null
    else
      {
        source = builtins.elemAt found 0;
        destination = builtins.elemAt found 3;
        options = builtins.elemAt found 6;
      };

  # Adds `idmap` to the short form of a bind mount, unless it has an option for owners or mounts no path of the host.
  mapOwners =
    value:
    let
      found = hostBind value;
      inherit (found) source destination options;
    in
    if found == null || (options != null && match ".*idmap.*" options != null) then
      value
    else
      "${source}:${if destination == null then source else destination}:${
        if options == null then "" else "${options},"
      }idmap";

  # The attribute set for the short form of a bind mount; null if it mounts no path of the host.
  bindParts =
    value:
    let
      found = hostBind value;
      inherit (found) source destination;
      options = if found.options == null then [ ] else filter isString (split "," found.options);
      # The last one counts.
      last =
        wanted:
        builtins.foldl' (found: option: if elem option wanted then option else found) null options;
      idmap = last [
        "noidmap"
        "idmap"
        "rootidmap"
        "owneridmap"
      ];
      recursion = last [
        "rbind"
        "norbind"
      ];
    in
    if found == null then
      null
    else
      { source = unescaped source; }
      // (if destination == null then { } else { destination = unescaped destination; })
      // (if recursion == "norbind" then { recursive = false; } else { })
      // (if idmap == null then { } else { inherit idmap; });
  unescaped =
    text:
    builtins.concatStringsSep "" (
      map (part: if isString part then part else builtins.head part) (split "\\\\(.)" text)
    );

  isInterface =
    value:
    match "[!-~]{1,15}" value != null
    && match ".*[/:%\\\\\"'].*" value == null
    # systemd reads these as numbers.
    && match "[+-]?([0-9]+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)" value == null
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
  # JSON has no leading zeros.
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

  isDevice =
    value: match "/dev/.*[^/]" value != null && match ".*[ \\\\].*" value == null && isAbsolute value;
  isPermissions = value: match "r(w?m?|mw)|w(r?m?|mr)|m(r?w?|wr)" value != null;
  # Names below /dev/disk/by-path have a `:` as well: a few letters behind the last one are permissions.
  isDeviceAndPermissions =
    value:
    let
      found = match "(.*):([a-z]{1,3})" value;
    in
    if found == null then
      isDevice value
    else
      isDevice (builtins.head found) && isPermissions (builtins.elemAt found 1);

  label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
  hostLabel = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
  # The reason for refusing the name of a container, or null.
  machineNameProblem =
    name:
    let
      refuse = reason: "'${toString name}' is not a machine name: ${reason}";
      matches = pattern: match pattern name != null;
    in
    if !isString name then
      "the name of a container must be a string, not a ${builtins.typeOf name}"
    else if name == "" then
      refuse "it is empty"
    else if !matches "[a-zA-Z0-9.-]*" then
      refuse "only letters, digits, '-' and '.' may be in it"
    else if stringLength name > 64 then
      refuse "it is longer than 64 characters"
    else if !matches "${label}(\\.${label})*" then
      refuse "'.' and '-' may not be at an end, next to '.' or doubled"
    else if matches ".*\\.(raw|v|mstack|nspawn)" then
      refuse "systemd gives its ending a meaning of its own"
    else if matches ".*-running" || matches ".*-pin-[0-9]*" then
      refuse "nixos-nspawn uses '-running' and '-pin-NUMBER' at the end for its GC roots"
    else if name == "host" then
      refuse "host.json is reserved for facts about the host"
    else
      null;
  isMachineName = value: machineNameProblem value == null;
  isHostname =
    value: match "${hostLabel}(\\.${hostLabel})*" value != null && stringLength value <= 64;
  isZone = value: stringLength value <= 12 && value != "" && isInterface "vz-${value}";
  # A name with the suffix of a unit is a unit, and an instance if it contains an `@`.
  isUnitOrContainer =
    value:
    let
      found = match "(.*)\\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)" value;
      prefix = builtins.head found;
    in
    if found == null then
      isMachineName value
    else
      match "[a-zA-Z0-9:_.\\\\-]([a-zA-Z0-9:_.@\\\\-]*[a-zA-Z0-9:_.\\\\-])?" prefix != null
      && stringLength value <= 255;
  isTemporaryFileSystem =
    value:
    let
      found = match "(/${field})(:[^[:cntrl:]]+)?" value;
    in
    found != null && isAbsolute (builtins.head found);
in
{
  inherit
    bindDestination
    bindParts
    bindProblem
    isAbsolute
    isAddress
    isAtom
    isBind
    isCredential
    isDevice
    isDeviceAndPermissions
    isForward
    isHostname
    isInterface
    isInterfacePair
    isMachineName
    isPermissions
    isTemporaryFileSystem
    isUnitOrContainer
    isZone
    machineNameProblem
    mapOwners
    pathProblem
    portParts
    ;
}
