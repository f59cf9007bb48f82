# Networks of containers on a host whose firewall is on: addresses by DHCP, names, a zone, a forwarded port as another machine
# sees it. In: the flake. Out: a test for runNixOSTest. The host has nftables, whose wildcards differ from those of iptables.
{ self }:
{ ... }:
let
  web = {
    services.nginx = {
      enable = true;
      virtualHosts.localhost = {
        default = true;
        locations."/".return = "200 served";
      };
    };
    networking.firewall.allowedTCPPorts = [ 80 ];
  };
in
{
  name = "nixos-nspawn-networking";

  nodes = {
    client = { };
    machine = {
      imports = [ self.nixosModules.default ];
      networking = {
        nftables.enable = true;
        useNetworkd = true;
      };
      nixos.containers = {
        instances = {
          single = {
            config = web;
            forwardPorts = [ "8080:80" ];
          };
          left = {
            config = web;
            zone = "shop";
          };
          right.zone = "shop";
        };
        zones.shop.address = [
          ""
          "10.42.43.1/24"
        ];
      };
      virtualisation.memorySize = 2048;
    };
  };

  testScript = ''
    start_all()
    machine.wait_for_unit("machines.target")
    for name in ["left", "right", "single"]:
        machine.wait_for_unit(f"systemd-nspawn@{name}.service")

    with subtest("The host reaches a container by its name"):
        machine.wait_until_succeeds("curl --silent --fail -4 http://single/ | grep served", timeout=60)

    with subtest("A zone has the address that the host's configuration gives it"):
        machine.succeed("ip -4 address show dev vz-shop | grep 10.42.43.1/24")
        machine.wait_until_succeeds("machinectl list --max-addresses=all | grep 10.42.43", timeout=60)

    with subtest("Containers of a zone reach each other"):
        machine.wait_until_succeeds(
            "systemd-run --machine=right --wait --quiet --pipe /run/current-system/sw/bin/curl --silent --fail "
            "http://$(getent ahostsv4 left | cut --delimiter=' ' --fields=1 | head -1)/ | grep served",
            timeout=60,
        )

    with subtest("A forwarded port is open to other machines"):
        client.wait_until_succeeds("curl --silent --fail http://machine:8080/ | grep served", timeout=60)
  '';
}
