# A release with nixos-init is expected to ignore this without an initrd; these modules make systemd the program that boots.
{ imports = [ ./web.nix ../newer.nix ]; boot.initrd.systemd.enable = true; }
