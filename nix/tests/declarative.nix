# Switching a host whose configuration has containers: each is reloaded, restarted, left alone or stopped as it should be,
# and a container made by command is never touched. In: the flake. Out: a test for runNixOSTest.
{ self }:
{ lib, pkgs, ... }:
let
  imperative = self.lib.mkContainer {
    inherit pkgs;
    name = "other";
    modules = [ { system.stateVersion = "25.11"; } ];
  };
  # A file that only the new system has.
  marked = {
    environment.etc.marked.text = "marked";
  };
in
{
  name = "nixos-nspawn-declarative";

  nodes.machine = {
    imports = [ self.nixosModules.default ];
    networking.useNetworkd = true;
    virtualisation = {
      additionalPaths = [ imperative ];
      memorySize = 3072;
      writableStore = true;
    };

    specialisation = {
      before.configuration.nixos.containers.instances = {
        dynamic = { };
        gone = { };
        left.activation.strategy = "none";
        moved = { };
        restarted.activation.strategy = "restart";
      };
      after.configuration = {
        nixos.containers.instances = {
          dynamic.config = marked;
          left = {
            activation.strategy = "none";
            config = marked;
          };
          moved = {
            bindMounts = [ "/srv" ];
            config = marked;
          };
          new = { };
          restarted = {
            activation.strategy = "restart";
            config = marked;
          };
        };
        # A change of the template is no reason to restart a container.
        systemd.services."systemd-nspawn@".environment.MARKED = "marked";
      };
    };
  };

  testScript =
    { nodes, ... }:
    let
      switch =
        name:
        "${nodes.machine.system.build.toplevel}/specialisation/${name}/bin/switch-to-configuration test";
    in
    ''
      def pid(name):
          return machine.succeed(f"systemctl show --property=MainPID systemd-nspawn@{name}.service")

      def marked(name):
          status, _ = machine.execute(f"systemd-run --machine={name} --wait --quiet /run/current-system/sw/bin/test -e /etc/marked")
          return status == 0

      machine.wait_for_unit("multi-user.target")
      machine.succeed("nixos-nspawn create other --profile ${imperative}")
      machine.succeed("${switch "before"}")
      names = ["dynamic", "gone", "left", "moved", "other", "restarted"]
      for name in names:
          machine.wait_for_unit(f"systemd-nspawn@{name}.service")
      before = {name: pid(name) for name in names}

      machine.succeed("${switch "after"}")
      machine.wait_for_unit("systemd-nspawn@new.service")
      after = {name: pid(name) for name in names}

      with subtest("A reload applies a new system"):
          assert before["dynamic"] == after["dynamic"]
          assert marked("dynamic")

      with subtest("A new mount takes a restart"):
          assert before["moved"] != after["moved"]
          assert marked("moved")

      with subtest("The strategy decides"):
          assert before["restarted"] != after["restarted"]
          assert marked("restarted")
          assert before["left"] == after["left"]
          assert not marked("left")

      with subtest("An instance that is gone is stopped"):
          machine.fail("systemctl is-active systemd-nspawn@gone.service")
          machine.fail("test -e /etc/nixos-nspawn/declarative.d/gone.json")
          machine.succeed("test -d /var/lib/machines/gone")

      with subtest("A container made by command is not touched"):
          assert before["other"] == after["other"]

      with subtest("Switching again changes nothing"):
          machine.succeed("${switch "after"}")
          for name in names:
              assert name == "gone" or after[name] == pid(name), name
    '';
}
