# What a flake or another Nix expression uses: `(import ./lib.nix { }).mkContainer { … }`, or `lib.mkContainer` of the
# flake. A NixOS configuration goes in; a profile for `nixos-nspawn create` comes out. The configuration is evaluated
# once, and nothing is built to evaluate it.
{ }:
{
  # In:
  #   nixpkgs      a flake input or a path; its NixOS is used, and packages as the configuration wants them
  #   pkgs         instead of nixpkgs: a package set, whose NixOS is used
  #   name         of the container
  #   system       "x86_64-linux" and so on; needed with nixpkgs in pure evaluation, unless the configuration says
  #                nixpkgs.hostPlatform
  #   modules      NixOS modules, which may set `nixosContainer` options (options.nix)
  #   specialArgs  further arguments of these modules
  # Out: a derivation that holds the system (`init` and so on are links to it) and nixos-nspawn/data.json. It has the
  # attributes config and options of the evaluation, toplevel, and data, which is what data.json says.
  mkContainer = import ./make-container.nix { };

  # In: `containers` of NixOS, as an attribute set. Out: the same containers for `nixos.containers.instances`
  # (docs/coming-from-containers.md). What has no equivalent is an error that names it.
  fromContainers = import ./from-containers.nix;
}
