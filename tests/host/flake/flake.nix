# The containers of the host tests; ./container.nix is the file of the same name in examples/debian.
{
  outputs =
    { self }:
    let
      make =
        name: settings:
        import ./container.nix (
          {
            inherit name;
            system = "x86_64-linux";
          }
          // settings
        );

      # What a test has written beside this file, for everything that has no name below.
      own = if builtins.pathExists ./own.json then builtins.fromJSON (builtins.readFile ./own.json) else { };
    in
    {
      nixosContainers =
        builtins.mapAttrs make {
          web = { };

          # Broken first processes: one ends at once, one never reports that it is ready, one reports it and then ignores
          # everything, even the signal that asks it to stop.
          broken.boot = "echo the first process of this container gives up; exit 1";
          never-ready = {
            boot = "echo 'the first process of this container dawdles'; trap 'exit 0' 37; while :; do sleep 1; done";
            container.timeoutStartSec = "3s";
          };
          deaf = {
            boot = "exec /usr/bin/systemd-notify --ready --no-block --exec \\; /bin/sleep 2147483647";
            container.serviceConfig.TimeoutStopSec = "3s";
          };

          binds.container.bindMounts = [
            "/srv/shared:/srv/seen"
            "/srv/same"
          ];
          ports.container.forwardPorts = [
            {
              protocol = "tcp";
              hostPort = 8080;
              containerPort = 80;
            }
          ];
          secrets.container.credentials = [
            {
              id = "token";
              path = "/etc/secrets/token";
            }
          ];
          ephemeral.container.ephemeral = true;
          userns.container = {
            userNamespacing = true;
            bindMounts = [ "/srv/shared:/srv/seen:rootidmap" ];
          };
          stopped = { };
          off.container.activation = {
            strategy = "restart";
            autoStart = false;
            reloadScript = null;
          };
        }
        // builtins.mapAttrs make own;
    };
}
