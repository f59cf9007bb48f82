# Credentials, ports, and a firewall by nftables; the other files have NixOS's default, iptables. Port 81 is closed.
{
  imports = [ ./web.nix ];
  networking.nftables.enable = true;
  services.nginx.virtualHosts.default.listen = map (port: { addr = "0.0.0.0"; inherit port; }) [ 80 81 ];
  nixosContainer.credentials = [ { id = "token"; path = "/root/token"; } ];
  nixosContainer.forwardPorts = [ "18080:80" ];
  systemd.services.reader = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig = { Type = "oneshot"; RemainAfterExit = true; LoadCredential = "token"; };
    script = "cat $CREDENTIALS_DIRECTORY/token > /run/token";
  };
}
