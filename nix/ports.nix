# Functions of the values of `forwardPorts`: their parts, and whether two of them conflict on the host. The rules are those of
# units/src/intent/port.rs.
{ lib }:
let
  inherit (import ./syntax.nix) portParts;
  isIPv6 = port: builtins.match ".*:.*" port.hostAddress != null;
  isAny = port: port.hostAddress == "0.0.0.0" || port.hostAddress == "::";
  isLoopback =
    port: port.hostAddress != null && builtins.match "127\\..*|::1" port.hostAddress != null;
  # systemd-nspawn forwards all others.
  bySocket = port: port.hostAddress != null || port.startOnConnect;
  inside = port: if port.containerPort == null then port.hostPort else port.containerPort;
in
{
  parts =
    value: { startOnConnect = false; } // (if builtins.isString value then portParts value else value);

  hostSide =
    port:
    "${
      if port.hostAddress == null then "" else "${port.hostAddress} "
    }${port.protocol}/${toString port.hostPort}";

  overlaps =
    a: b:
    a.protocol == b.protocol
    && a.hostPort == b.hostPort
    && (
      a.hostAddress == null
      || b.hostAddress == null
      || a.hostAddress == b.hostAddress
      || (isIPv6 a == isIPv6 b && (isAny a || isAny b))
    );

  # systemd-nspawn does not forward from the host's loopback interface, so a forward there completes one of its own.
  completes =
    let
      pair = a: b: !bySocket a && isLoopback b;
    in
    a: b: inside a == inside b && (pair a b || pair b a);
}
