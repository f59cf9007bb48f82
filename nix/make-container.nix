# Evaluates a NixOS configuration as a container's and makes the profile of it, for mkContainer (lib.nix) and for an
# instance of a host (instance.nix).
{
  # Where messages say that the options are.
  prefix ? [ ],
  # What `nixosContainer` is called in messages of rules.
  option ? "nixosContainer",
  # What the host's configuration says of the container: `nspawn`, its systemd.nspawn.<name> or null, and `networks`, the
  # definitions of its network unit with their files.
  host ? {
    nspawn = null;
    networks = [ ];
  },
}:
arguments@{
  nixpkgs ? null,
  pkgs ? null,
  name ? throw "mkContainer: the argument 'name' is missing: what is the container called?",
  system ? null,
  modules ? [ ],
  specialArgs ? { },
}:
let
  # A flake's attributes, or a path; a path is read where it is, and not copied to the store.
  source = if pkgs != null then pkgs.path else nixpkgs.outPath or nixpkgs;
  lib = if pkgs != null then pkgs.lib else nixpkgs.lib or (import (source + "/lib"));

  # A system that is given counts, unless the configuration says otherwise.
  platform =
    if system != null then
      system
    else
      builtins.currentSystem or (throw "mkContainer: container '${name}': the argument 'system' is missing, or nixpkgs.hostPlatform in its configuration");

  evaluation = import (source + "/nixos/lib/eval-config.nix") {
    inherit lib prefix specialArgs;
    # nixpkgs.hostPlatform says it.
    system = null;
    modules = modules ++ [
      (import ./container.nix { inherit name option host; })
      {
        _file = ./make-container.nix;
        nixpkgs =
          if pkgs != null then
            { inherit pkgs; }
          else
            {
              hostPlatform = lib.mkDefault platform;
            };
      }
    ];
    # What messages say of modules that are no files.
    modulesLocation = (builtins.unsafeGetAttrPos "modules" arguments).file or null;
  };
  inherit (evaluation) config options;
  inherit (config.system.build) toplevel;

  data = {
    version = 1;
  }
  // import ./data.nix { inherit lib; } config.nixosContainer;

  profile = evaluation.pkgs.runCommandLocal "nixos-container-${name}" {
    json = builtins.toJSON data;
    passAsFile = [ "json" ];
    passthru = {
      inherit
        config
        options
        toplevel
        data
        ;
    };
  } ''
    mkdir -p $out/nixos-nspawn
    cp "$jsonPath" $out/nixos-nspawn/data.json
    ln -s ${toplevel}/init $out/init
    for entry in ${toplevel}/*; do
      [ -e "$out/''${entry##*/}" ] || [ "$entry" = ${toplevel}/init ] || ln -s "$entry" $out/
    done
  '';
in
if nixpkgs != null && pkgs != null then
  throw "mkContainer: container '${name}': both 'nixpkgs' and 'pkgs' are given, but one of them says which NixOS to use"
else if nixpkgs == null && pkgs == null then
  throw "mkContainer: container '${name}': neither 'nixpkgs' nor 'pkgs' is given, so there is no NixOS to use"
else if system != null && builtins.match "[^-]+-linux" system == null then
  throw "mkContainer: container '${name}': system is '${system}', which is no system that a container runs on, such as 'x86_64-linux'"
else if pkgs != null && system != null && system != pkgs.stdenv.hostPlatform.system then
  throw "mkContainer: container '${name}': system is '${system}', but 'pkgs' is for '${pkgs.stdenv.hostPlatform.system}'"
else
  import ./name.nix name profile
