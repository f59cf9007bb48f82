# One container, `web`. Create it with
#
#     nixos-nspawn create web --flake .#web
#
# and after changes `nixos-nspawn update web`. More containers are more attributes of nixosContainers.
{
  description = "A NixOS container for nixos-nspawn";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    nixos-nspawn = {
      # A copy of its repository, or its address on a Git server.
      url = "path:/path/to/nixos-nspawn";
      inputs.nixpkgs.follows = "nixpkgs";
    };
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
