# A profile as python-nixos-nspawn builds it, from its own mkContainer in /root/peer.
(import /root/peer/lib.nix).mkContainer {
  nixpkgs = "/root/nixpkgs";
  name = "kit-peer";
  system = "x86_64-linux";
  modules = [
    ./web.nix
    ../newer.nix
    { nixosContainer.bindMounts = [ "/srv/peer:/srv/peer" ]; }
  ];
}
