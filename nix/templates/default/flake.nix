# One container, `web`. Create it with
#
#     nixos-nspawn create web --flake .#web
#
# and after changes `nixos-nspawn update web`. More containers are more attributes of nixosContainers.
{
  description = "A NixOS container for nixos-nspawn";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # The flake that this template is from, by its name in the registry:
    #     nix registry add nixos-nspawn URL
    nixos-nspawn.url = "flake:nixos-nspawn";
    nixos-nspawn.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, nixos-nspawn, ... }:
    {
      nixosContainers.web = nixos-nspawn.lib.mkContainer {
        inherit nixpkgs;
        name = "web";
        system = "x86_64-linux";
        modules = [ ./configuration.nix ];
      };
    };
}
