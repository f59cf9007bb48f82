# A flake without inputs: `nixos-nspawn create web --flake .` builds and starts the container described here.
{
  description = "A container made of the host's own programs";

  outputs =
    { self }:
    let
      make = system: {
        web = import ./container.nix {
          name = "web";
          inherit system;
          page = "Hello from a container.\n";
          # Root inside is an unprivileged user outside, and an update reloads the container if it can.
          container.userNamespacing = true;
          container.activation.strategy = "dynamic";
          container.forwardPorts = [
            {
              protocol = "tcp";
              hostPort = 8080;
              containerPort = 80;
            }
          ];
        };
      };
    in
    {
      # One layout for each system. `nixosContainers.web` without a system in between would be found as well.
      nixosContainers.x86_64-linux = make "x86_64-linux";
      nixosContainers.aarch64-linux = make "aarch64-linux";
    };
}
