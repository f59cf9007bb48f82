//! Finds listeners on the host's ports: sockets of the host's network from /proc/net, and the processes that hold them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nixos_nspawn_units::intent::Protocol;

use crate::base::host::Host;

/// A socket that listens for connections or packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its protocol.
    pub(crate) protocol: Protocol,
    /// Its address; the unspecified one stands for all.
    pub(crate) address: IpAddr,
    /// Its port.
    pub(crate) port: u16,
    /// Its inode, which identifies it.
    inode: u64,
}

/// A process with sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its PID.
    pub(crate) pid: u32,
    /// Its name.
    pub(crate) name: String,
}

/// The kernel's tables of sockets, with the state of a listening socket in each (`proc_pid_net(5)`).
const TABLES: [(&str, Protocol, &str); 4] = [
    ("tcp", Protocol::Tcp, "0A"),
    ("tcp6", Protocol::Tcp, "0A"),
    ("udp", Protocol::Udp, "07"),
    ("udp6", Protocol::Udp, "07"),
];

/// Returns all listening sockets of the host's network.
pub(crate) fn listeners(host: &Host) -> Vec<Listener> {
    let mut found = Vec::new();
    for (file, protocol, state) in TABLES {
        let text = fs::read_to_string(host.path("/proc/net").join(file)).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| listener(line, protocol, state)));
    }
    found
}

/// Parses a line of a table; returns `None` if the socket does not listen.
fn listener(line: &str, protocol: Protocol, waiting: &str) -> Option<Listener> {
    let mut words = line.split_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let (_remote, state) = (words.next()?, words.next()?);
    let inode = words.nth(5)?.parse().ok()?;
    (state == waiting).then_some(())?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener { protocol, address: ip(address)?, port, inode })
}

/// Parses an address as the kernel prints it: 32-bit words in native byte order.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Returns the processes that hold these sockets, by the index of the socket. Without root, only the caller's own
/// processes are visible.
pub(crate) fn holders(host: &Host, sockets: &[&Listener]) -> BTreeMap<usize, Holder> {
    let mut found = BTreeMap::new();
    let links: Vec<String> = sockets.iter().map(|socket| format!("socket:[{}]", socket.inode)).collect();
    let processes = fs::read_dir(host.path("/proc")).into_iter().flatten().flatten();
    // The lowest PID first: of several processes that share a socket, the first one names the service.
    let mut pids: Vec<u32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        if found.len() == sockets.len() {
            break;
        }
        let process = host.path(format!("/proc/{pid}"));
        for file in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let Some(at) = links.iter().position(|link| target.as_os_str() == link.as_str()) else {
                continue;
            };
            found.entry(at).or_insert_with(|| {
                let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
                Holder { pid, name: name.trim().to_owned() }
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_tables() {
        let tcp = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x 100";
        let found = listener(tcp, Protocol::Tcp, "0A").unwrap();
        assert_eq!((found.address, found.port, found.inode), ("127.0.0.1".parse().unwrap(), 8080, 4711));
        assert_eq!(listener(&tcp.replace(" 0A ", " 01 "), Protocol::Tcp, "0A"), None);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(listener(head, Protocol::Tcp, "0A"), None);
        let udp = "  12: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 \
                   00:00000000 00000000   101        0 99 2 x 0";
        let found = listener(udp, Protocol::Udp, "07").unwrap();
        assert_eq!((found.address, found.port), ("::1".parse().unwrap(), 53));
        assert_eq!(ip("0000000000000000FFFF00000100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(ip("00"), None);
    }
}
