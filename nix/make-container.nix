# Evaluates a NixOS configuration as a container's and builds its profile, for mkContainer (lib.nix) and for the instances of a
# host (instance.nix).
{
  # The prefix of option names in messages.
  prefix ? [ ],
  # The name of `nixosContainer` in messages of rules.
  option ? "nixosContainer",
  # Definitions in the host's configuration: `nspawn`, the container's systemd.nspawn.<name> or null, and `networks`, those of
  # its network unit with their files.
  host ? {
    nspawn = null;
    networks = [ ];
  },
  # See lib.nix.
  packageFor ? _: null,
}:
arguments@{
  nixpkgs ? null,
  pkgs ? null,
  name ? throw "mkContainer: the argument 'name' is missing; set it to the container's name",
  system ? null,
  modules ? [ ],
  specialArgs ? { },
  package ? null,
}:
let
  # nixpkgs is a flake's attributes or a path. A path is read in place and not copied to the store.
  source = if pkgs != null then pkgs.path else nixpkgs.outPath or nixpkgs;
  lib = if pkgs != null then pkgs.lib else nixpkgs.lib or (import (source + "/lib"));

  # The configuration can override it.
  platform =
    if system != null then
      system
    else
      builtins.currentSystem or (throw "mkContainer: container '${name}': neither the argument 'system' nor nixpkgs.hostPlatform is set; set one of them");

  evaluation = import (source + "/nixos/lib/eval-config.nix") {
    inherit lib prefix specialArgs;
    # nixpkgs.hostPlatform sets it.
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
    # Messages name this file for modules that are not files.
    modulesLocation = (builtins.unsafeGetAttrPos "modules" arguments).file or null;
  };
  inherit (evaluation) config options;
  inherit (config.system.build) toplevel;

  data = {
    version = 1;
  }
  // import ./data.nix { inherit lib; } config.nixosContainer;

  # Which program checks the options while the profile is built: that of the argument, which may be null, of our overlay, or of
  # our flake. A package of this name may be another program's.
  buildPackages = evaluation.pkgs.buildPackages or evaluation.pkgs;
  ours = buildPackages.nixos-nspawn or { };
  verifier =
    if arguments ? package then
      package
    else if ours.canVerify or false then
      ours
    else
      packageFor buildPackages.stdenv.hostPlatform.system;
  verify = lib.optionalString (verifier != null) ''
    cp "$intentPath" ${name}.json
    if ! ${verifier}/bin/nixos-nspawn --root . verify ${name}.json >&2; then
      echo "container '${name}': options would be refused or ignored, see above" >&2
      exit 1
    fi
  '';

  profile = evaluation.pkgs.runCommand "nixos-container-${name}" {
    # Unlike runCommandLocal, this takes the profile from a cache rather than the program that checks it.
    preferLocalBuild = true;
    json = builtins.toJSON data;
    # What `create` would record.
    intent = lib.optionalString (verifier != null) (
      builtins.toJSON {
        version = 1;
        inherit name;
        toplevel = "${toplevel}";
        container = removeAttrs data [ "version" ];
      }
    );
    passAsFile = [
      "json"
      "intent"
    ];
    passthru = {
      inherit
        config
        options
        toplevel
        data
        ;
    };
  } ''
    # Older releases use systemd itself as init if boot.initrd.systemd is enabled, even if the system has no initrd.
    if cmp -s ${toplevel}/init ${toplevel}/systemd/lib/systemd/systemd; then
      echo "container '${name}': \`boot.initrd.systemd.enable' is true, so that nothing would activate the system; set it to false" >&2
      exit 1
    fi
    ${verify}
    mkdir -p $out/nixos-nspawn
    cp "$jsonPath" $out/nixos-nspawn/data.json
    ln -s ${toplevel}/init $out/init
    for entry in ${toplevel}/*; do
      [ -e "$out/''${entry##*/}" ] || [ "$entry" = ${toplevel}/init ] || ln -s "$entry" $out/
    done
  '';
in
if nixpkgs != null && pkgs != null then
  throw "mkContainer: container '${name}': both 'nixpkgs' and 'pkgs' are given; remove one"
else if nixpkgs == null && pkgs == null then
  throw "mkContainer: container '${name}': neither 'nixpkgs' nor 'pkgs' is given; add one"
else if system != null && builtins.match "[^-]+-linux" system == null then
  throw "mkContainer: container '${name}': system is '${system}', which is not a Linux system such as 'x86_64-linux'"
else if pkgs != null && system != null && system != pkgs.stdenv.hostPlatform.system then
  throw "mkContainer: container '${name}': system is '${system}', but 'pkgs' is for '${pkgs.stdenv.hostPlatform.system}'"
else
  import ./name.nix name profile
