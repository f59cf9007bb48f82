# Of the two programs that switch, a system with the newer one alone. Evaluated only: it is not among Debian's packages.
((import /root/product/nix/lib.nix { }).mkContainer {
  pkgs = import /root/nixpkgs { };
  name = "kit-newer";
  modules = [
    {
      system.stateVersion = "25.05";
      system.switch = {
        enable = false;
        enableNg = true;
      };
      nixosContainer.activation.strategy = "reload";
    }
  ];
}).drvPath
