# The life of a container that is made by command: created, updated, rolled back, up again after a reboot, removed. In: the
# flake. Out: a test for runNixOSTest. Both generations are built beforehand, since a test has no network.
{ self }:
{ pkgs, ... }:
let
  container =
    page:
    self.lib.mkContainer {
      inherit pkgs;
      name = "web";
      modules = [
        {
          system.stateVersion = "25.11";
          services.nginx = {
            enable = true;
            virtualHosts.localhost = {
              default = true;
              locations."/".return = "200 ${page}";
            };
          };
          networking.firewall.allowedTCPPorts = [ 80 ];
          nixosContainer.forwardPorts = [ "8080:80" ];
        }
      ];
    };
  first = container "first";
  second = container "second";
in
{
  name = "nixos-nspawn-imperative";

  nodes.machine = {
    imports = [ self.nixosModules.default ];
    networking.useNetworkd = true;
    virtualisation = {
      additionalPaths = [
        first
        second
      ];
      memorySize = 2048;
      writableStore = true;
    };
  };

  testScript = ''
    unit = "systemd-nspawn@web.service"

    def says(page):
        machine.wait_until_succeeds(f"curl --silent --fail http://web/ | grep {page}", timeout=60)

    machine.wait_for_unit("multi-user.target")

    with subtest("A new container runs"):
        machine.succeed("nixos-nspawn create web --profile ${first}")
        machine.succeed(f"systemctl is-active {unit}")
        says("first")

    with subtest("Its update reaches the running container"):
        pid = machine.succeed(f"systemctl show --property=MainPID {unit}")
        machine.succeed("nixos-nspawn update web --profile ${second}")
        says("second")
        assert pid == machine.succeed(f"systemctl show --property=MainPID {unit}"), "it was restarted"

    with subtest("Its rollback as well"):
        machine.succeed("nixos-nspawn rollback web")
        says("first")

    with subtest("It comes back with the host"):
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")
        machine.wait_for_unit(unit)
        says("first")

    with subtest("Switching the host leaves it alone"):
        pid = machine.succeed(f"systemctl show --property=MainPID {unit}")
        machine.succeed("/run/current-system/bin/switch-to-configuration test")
        assert pid == machine.succeed(f"systemctl show --property=MainPID {unit}"), "it was restarted"

    with subtest("Only its state is left"):
        machine.succeed("nixos-nspawn remove web")
        machine.fail(f"systemctl is-active {unit}")
        machine.succeed("test -d /var/lib/machines/web")
        machine.fail("test -e /etc/nixos-nspawn/web.json")
  '';
}
