//! The units of forwards that nspawn cannot do: on one address of the host, on its loopback (systemd#6106), or those
//! that start the container (`systemd.socket(5)`, `systemd-socket-proxyd(8)`). The units' names identify the container,
//! whatever it is called.

use std::net::IpAddr;

use crate::intent::{ForwardPort, HostAddress, Intent};
use crate::name::MachineName;
use crate::service::{HELPER, unit_name};
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::escape::{self, EscapeError};

/// The program that carries the connections. It is not in PATH.
pub const PROXY: &str = match option_env!("NIXOS_NSPAWN_SOCKET_PROXYD") {
    Some(path) => path,
    None => "/usr/lib/systemd/systemd-socket-proxyd",
};

/// How the units' names begin. No machine name contains an `@`, so no unit named after a container looks like this.
pub const PREFIX: &str = "nixos-nspawn-proxy@";

/// Where a proxy finds the address of its container, in a directory below /run named after its unit's instance.
pub const RUNTIME_DIRECTORY: &str = "nixos-nspawn-proxy";

/// The file with the address, as the service manager reads it (`EnvironmentFile=`), and its variable.
pub const TARGET_FILE: &str = "target";

/// See [`TARGET_FILE`].
pub const TARGET_VARIABLE: &str = "NIXOS_NSPAWN_TARGET";

/// One forward by a socket: the names and content of its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The name of the socket unit.
    pub unit: String,
    /// The name of its service.
    pub service: String,
    /// Whether it exists without the container, and starts it.
    pub start_on_connect: bool,
    /// What it occupies on the host, for messages: `tcp/127.0.0.1:8080`.
    pub host_side: String,
    /// The content of the socket unit.
    pub socket_file: UnitFile,
    /// The content of the service.
    pub service_file: UnitFile,
}

/// Returns the part of the names that identifies container, protocol, address and port: `web-tcp-127.0.0.1-8080`,
/// `web-tcp-__1-8080` for `::1`. None of the last three contains a dash. Unit names may contain colons, but
/// systemd-analyze(1) takes them for the start of an alias.
fn instance(name: &MachineName, port: &ForwardPort) -> String {
    let (protocol, host_port) = (port.protocol, port.host_port.get());
    match port.host_address.map(HostAddress::get) {
        Some(IpAddr::V4(address)) => format!("{name}-{protocol}-{address}-{host_port}"),
        Some(IpAddr::V6(address)) => {
            format!("{name}-{protocol}-{}-{host_port}", address.to_string().replace(':', "_"))
        }
        None => format!("{name}-{protocol}-{host_port}"),
    }
}

/// Returns the container that a unit's name identifies; `None` if the unit is not ours.
pub fn container_of(unit: &str) -> Option<&str> {
    let instance = unit.strip_prefix(PREFIX)?;
    let instance = instance.strip_suffix(".socket").or_else(|| instance.strip_suffix(".service"))?;
    let (rest, port) = instance.rsplit_once('-')?;
    port.parse::<u16>().ok()?;
    let (rest, word) = rest.rsplit_once('-')?;
    match word {
        "tcp" => Some(rest),
        address => {
            address.replace('_', ":").parse::<IpAddr>().ok()?;
            rest.strip_suffix("-tcp")
        }
    }
}

/// Returns the forwards of the container that nspawn cannot do, ordered by name.
pub fn sockets(name: &MachineName, intent: &Intent, source: &str) -> Result<Vec<Socket>, EscapeError> {
    let ports = intent.container.forward_ports.iter().filter(|port| !port.by_nspawn());
    let mut sockets = ports.map(|port| socket(name, port, source)).collect::<Result<Vec<_>, _>>()?;
    sockets.sort_unstable_by(|one, other| one.unit.cmp(&other.unit));
    Ok(sockets)
}

fn socket(name: &MachineName, port: &ForwardPort, source: &str) -> Result<Socket, EscapeError> {
    let instance = instance(name, port);
    let container = unit_name(name);
    let unit = [PREFIX, &instance, ".socket"].concat();
    let service = [PREFIX, &instance, ".service"].concat();
    let source = escape::unit_raw(source)?;
    let listen_address = port.listen_address();
    let host_side = port.host_side_at(&listen_address);

    let mut socket_file = UnitFile::default();
    let section = socket_file.section("Unit");
    section.set("Description", ["Port ", &host_side, " of container ", name.as_str()].concat());
    section.fixed("Documentation", "man:nixos-nspawn.json(5)");
    section.set("SourcePath", source.as_str());
    if !port.start_on_connect {
        // Exists as long as the container, however it ends. The socket comes first: clients that connect during the
        // start wait.
        section.set("BindsTo", container.as_str());
        section.set("Before", container.as_str());
    }
    let section = socket_file.section("Socket");
    section.set("ListenStream", listen_address);
    match port.host_address.map(HostAddress::get) {
        Some(IpAddr::V4(_)) => {}
        // `::` stands for all of IPv6, as 0.0.0.0 does for all of IPv4.
        Some(IpAddr::V6(_)) => drop(section.fixed("BindIPv6Only", "ipv6-only")),
        None => drop(section.fixed("BindIPv6Only", "both")),
    }
    if port.host_address.is_some_and(|address| !address.get().is_unspecified()) {
        // The address may come later, or go and come again.
        section.fixed("FreeBind", "yes");
    }
    // When the proxy ends because its container cannot start, or has no address, waiting clients are disconnected;
    // otherwise it would be retried for clients that may be long gone.
    section.fixed("FlushPending", "yes");

    let mut service_file = UnitFile::default();
    let section = service_file.section("Unit");
    section.set("Description", ["Proxy from port ", &host_side, " to container ", name.as_str()].concat());
    section.fixed("Documentation", "man:nixos-nspawn.json(5)");
    section.set("SourcePath", source);
    // Both ways: a connection starts the container, and the address is void when the container stops.
    section.set("BindsTo", container.as_str());
    section.set("Requires", unit.as_str());
    section.set("After", [&container, " ", &unit].concat());
    // Otherwise repeated failures, for instance without an address inside, would stop the socket until somebody resets
    // it. What a client can cause is bounded by the socket's TriggerLimitBurst= (systemd.socket(5)).
    section.fixed("StartLimitIntervalSec", "0");
    let section = service_file.section("Service");
    section.set("RuntimeDirectory", [RUNTIME_DIRECTORY, "/", &instance].concat());
    section.set("EnvironmentFile", ["-/run/", RUNTIME_DIRECTORY, "/", &instance, "/", TARGET_FILE].concat());
    // Entering the container's network takes root; carrying connections takes no rights.
    let inside = port.inside().get().to_string();
    section.set("ExecStartPre", ["+", HELPER, " --proxy ", name.as_str(), " ", &inside].concat());
    section.set("ExecStart", [PROXY, " --exit-idle-time=5min ${", TARGET_VARIABLE, "}"].concat());
    for (key, value) in SANDBOX {
        section.fixed(key, value);
    }
    Ok(Socket {
        unit,
        service,
        start_on_connect: port.start_on_connect,
        host_side,
        socket_file,
        service_file,
    })
}

/// The proxy talks to strangers: it may use sockets, and nothing more.
const SANDBOX: [(&str, &str); 12] = [
    ("DynamicUser", "yes"),
    ("CapabilityBoundingSet", ""),
    ("ProtectHome", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectControlGroups", "yes"),
    ("PrivateDevices", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    // Name resolution asks netlink which families the host has.
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
    ("RestrictNamespaces", "yes"),
    ("SystemCallFilter", "@system-service"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_container() {
        for name in ["web", "web-tcp-1", "a-tcp-127.0.0.1-80", "tcp"] {
            let name: MachineName = name.parse().unwrap();
            for text in ["127.0.0.1:8080:80", "[::1]:1", "[fd00::1:2]:80", "0.0.0.0:8080"] {
                let port: ForwardPort = text.parse().unwrap();
                for port in [ForwardPort { host_address: None, ..port.clone() }, port] {
                    let socket = socket(&name, &port, "/x").unwrap();
                    assert_eq!(container_of(&socket.unit), Some(name.as_str()), "{}", socket.unit);
                    assert_eq!(container_of(&socket.service), Some(name.as_str()), "{}", socket.service);
                }
            }
        }
        for other in [
            "nixos-nspawn-web-tcp-80.socket",
            "nixos-nspawn-proxy@web-udp-80.socket",
            "nixos-nspawn-proxy@web-tcp-80.timer",
            "nixos-nspawn-proxy@web-tcp-x-80.socket",
            "nixos-nspawn-proxy@80.socket",
        ] {
            assert_eq!(container_of(other), None, "{other}");
        }
    }
}
