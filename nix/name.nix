# Returns `result` if `name` is a machine name, and throws an error of one line otherwise.
name: result:
let
  problem = (import ./syntax.nix).machineNameProblem name;
in
if problem == null then result else throw problem
