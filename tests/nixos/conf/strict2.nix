{ lib, ... }: {
  imports = [ ./strict.nix ];
  services.nginx.virtualHosts.default.locations."/".return = lib.mkForce "200 'page 2\n'";
}
