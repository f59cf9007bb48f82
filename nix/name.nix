# The rule for names of containers, which is that of units/src/name.rs. In: a name, and anything. Out: the latter, or an
# error of one line that says what is wrong with the name.
name: result:
let
  refuse = reason: throw "'${toString name}' is not a machine name: ${reason}";
  matches = pattern: builtins.match pattern name != null;
  label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
in
if !builtins.isString name then
  throw "the name of a container must be a string, not a ${builtins.typeOf name}"
else if name == "" then
  refuse "it is empty"
else if !matches "[a-zA-Z0-9.-]*" then
  refuse "only letters, digits, '-' and '.' may be in it"
else if builtins.stringLength name > 64 then
  refuse "it is longer than 64 characters"
else if !matches "${label}(\\.${label})*" then
  refuse "'.' and '-' may not be at an end, next to '.' or doubled"
else if matches ".*\\.(raw|v|mstack|nspawn)" then
  refuse "systemd gives its ending a meaning of its own"
else if matches ".*-running" || matches ".*-pin-[0-9]*" then
  refuse "'-running' and '-pin-NUMBER' at the end are what nixos-nspawn calls its GC roots"
else if name == "host" then
  refuse "host.json holds what the generator must know of the host"
else
  result
