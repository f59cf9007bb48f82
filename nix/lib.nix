# The library: `lib` of the flake and of default.nix. `--config` imports it without the package, which would have to be built.
{
  # The default of mkContainer's `package`, a function of the system that builds.
  packageFor ? _: null,
}:
{
  # Builds a profile for `nixos-nspawn create` from a NixOS configuration. The configuration is evaluated once, and nothing is
  # built during evaluation. Arguments:
  #   nixpkgs      a flake input or a path; packages are configured by `nixpkgs` options of the configuration
  #   pkgs         a package set, instead of nixpkgs
  #   name         the container's name
  #   system       for instance "x86_64-linux"; needed with nixpkgs in pure evaluation, unless the configuration sets
  #                nixpkgs.hostPlatform
  #   modules      NixOS modules, which may set `nixosContainer` options (options.nix)
  #   specialArgs  additional arguments for the modules
  #   package      the package of nixos-nspawn that checks the options while the profile is built, or null for none; by default
  #                the one of the overlay if the packages have it, or else `packageFor`'s
  # Returns a derivation with links to the files of the system, `init` among them, and nixos-nspawn/data.json. Its attributes
  # are `config` and `options` of the evaluation, `toplevel`, and `data`, the contents of data.json.
  mkContainer = import ./make-container.nix { inherit packageFor; };

  # Translates `containers` of NixOS, an attribute set, to `nixos.containers.instances` (docs/coming-from-containers.md). An
  # option without an equivalent is an error.
  fromContainers = import ./from-containers.nix;
}
