# Users made by systemd, not by a script of the activation.
{
  imports = [ ../module.nix ];
  system.stateVersion = "25.05";
  systemd.sysusers.enable = true;
  services.nginx.enable = true;
  services.nginx.virtualHosts.default.locations."/".return = "200 'next\n'";
  networking.firewall.allowedTCPPorts = [ 80 ];
}
