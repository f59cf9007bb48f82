# One of twenty that start at once.
{ imports = [ ./web.nix ]; nixosContainer.timeoutStartSec = "10min"; }
