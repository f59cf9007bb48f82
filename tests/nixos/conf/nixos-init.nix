# An initialization without activation scripts.
{ imports = [ ./web.nix ../newer.nix ]; system.nixos-init.enable = true; }
