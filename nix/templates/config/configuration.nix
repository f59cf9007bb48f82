# A container without a flake. Create it with
#
#     nixos-nspawn create web --config configuration.nix
#
# and after changes `nixos-nspawn update web`. `nixosContainer` is what the host gives the container;
# nixos-nspawn-options(5) lists these options.
{
  system.stateVersion = "25.11";

  services.nginx = {
    enable = true;
    virtualHosts.localhost.default = true;
  };
  networking.firewall.allowedTCPPorts = [ 80 ];

  nixosContainer = {
    # Port 8080 of the host is port 80 of the container.
    forwardPorts = [ "8080:80" ];
    # State that is to be found on the host.
    # bindMounts = [ "/srv/web:/var/www" ];
  };
}
