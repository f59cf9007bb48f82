//! The host's route to an address. A container chooses its own addresses, and the proxy connects to them from the
//! host's network: one that claims the host's loopback, or the address of another machine, would redirect its port
//! there. So the kernel is asked by rtnetlink(7) whether the host's route to an address goes out on the container's
//! link.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use nixos_nspawn_units::name::{MachineName, shortened};
use rustix::fd::OwnedFd;
use rustix::net::netdevice::name_to_index;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::proxy::netlink::{AF_INET, AF_INET6, HEADER, NLM_F_REQUEST, attributes, open, u16_at, u32_at};

// linux/rtnetlink.h
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTN_UNICAST: u8 = 1;
/// The length of `struct rtmsg`, and the offset of its type.
const ROUTE_HEADER: usize = 12;
const ROUTE_TYPE: usize = 7;

/// The host's interfaces of a container's link, and a netlink socket in the host's network namespace.
pub(crate) struct Route {
    netlink: OwnedFd,
    interfaces: Vec<u32>,
}

impl Route {
    /// Opens a socket in the namespace of the calling thread, which must be the host's.
    pub(crate) fn to(name: &MachineName) -> io::Result<Self> {
        let netlink = open()?;
        let own = ["ve-", "vb-"].map(|prefix| shortened(prefix, name.as_str()));
        let names = own.iter().flat_map(|interface| ends(Path::new("/sys/class/net"), interface));
        let interfaces = names.filter_map(|interface| name_to_index(&netlink, &interface).ok()).collect();
        Ok(Self { netlink, interfaces })
    }

    /// Returns whether the host's packets to the address go to the container, or to the bridge that it is on.
    pub(crate) fn leads_to(&self, address: &IpAddr) -> io::Result<bool> {
        send(&self.netlink, &request(address), SendFlags::empty())?;
        let mut answer = vec![0; 8192];
        let (_, length) = recv(&self.netlink, &mut answer[..], RecvFlags::empty())?;
        let out = answer.get(..length).and_then(interface_of);
        Ok(out.is_some_and(|interface| self.interfaces.contains(&interface)))
    }
}

/// Returns the interface, its bridge, and the interfaces on top of that bridge, such as VLANs.
fn ends(folder: &Path, interface: &str) -> Vec<String> {
    let mut names = vec![interface.to_owned()];
    let master = fs::read_link(folder.join(interface).join("master")).ok();
    if let Some(bridge) = master.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()) {
        names.push(bridge.to_owned());
        let entries = fs::read_dir(folder.join(bridge)).into_iter().flatten().flatten();
        names.extend(
            entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("upper_")?.to_owned())),
        );
    }
    names
}

/// Returns an RTM_GETROUTE request for the address.
fn request(address: &IpAddr) -> Vec<u8> {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    };
    let length = HEADER + ROUTE_HEADER + 4 + bytes.len();
    let mut request = Vec::with_capacity(length);
    request.extend((length as u32).to_ne_bytes());
    request.extend(RTM_GETROUTE.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.resize(HEADER, 0);
    request.extend([family, bytes.len() as u8 * 8]);
    request.resize(HEADER + ROUTE_HEADER, 0);
    request.extend((4 + bytes.len() as u16).to_ne_bytes());
    request.extend(RTA_DST.to_ne_bytes());
    request.extend(bytes);
    request
}

/// Returns the outgoing interface in the kernel's answer; `None` if there is no route, or the address is the host's
/// own.
fn interface_of(answer: &[u8]) -> Option<u32> {
    let length = u32_at(answer, 0)? as usize;
    let message = answer.get(HEADER..length)?;
    if u16_at(answer, 4)? != RTM_NEWROUTE || *message.get(ROUTE_TYPE)? != RTN_UNICAST {
        return None;
    }
    let (_, value) = attributes(message.get(ROUTE_HEADER..)?).find(|(kind, _)| *kind == RTA_OIF)?;
    u32_at(value, 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn own_addresses_of_the_host_are_rejected() {
        // For any interface: the route to the loopback is of another type.
        let route = Route { interfaces: (0..100).collect(), netlink: open().unwrap() };
        for own in ["127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "224.0.0.1", "255.255.255.255"] {
            assert!(!route.leads_to(&own.parse().unwrap()).unwrap(), "{own}");
        }
        let none = Route { interfaces: Vec::new(), netlink: open().unwrap() };
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert!(!none.leads_to(&address.parse().unwrap()).unwrap(), "{address}");
        }
    }

    #[test]
    fn kernel_answers() {
        let answer = |kind: u8| {
            let mut body = vec![AF_INET, 32, 0, 0, 254, 0, 0, kind, 0, 0, 0, 0];
            body.extend([8, 0, 15, 0, 254, 0, 0, 0]);
            body.extend([5, 0, 99, 0, 1, 0, 0, 0]);
            body.extend([8, 0, 4, 0]);
            body.extend(7u32.to_ne_bytes());
            let mut bytes = Vec::from((16 + body.len() as u32).to_ne_bytes());
            bytes.extend(RTM_NEWROUTE.to_ne_bytes());
            bytes.resize(16, 0);
            bytes.extend(body);
            bytes
        };
        assert_eq!(interface_of(&answer(RTN_UNICAST)), Some(7));
        assert_eq!(interface_of(&answer(2)), None, "an address of the host's own");
        let whole = answer(RTN_UNICAST);
        for end in 0..whole.len() {
            assert_eq!(interface_of(&whole[..end]), None, "cut off after {end} bytes");
        }
    }

    #[test]
    fn interfaces_of_a_link() {
        let folder = std::env::temp_dir().join(format!("nixos-nspawn-route-{}", std::process::id()));
        for interface in ["ve-alone", "vb-web", "br0/upper_br0.10"] {
            fs::create_dir_all(folder.join(interface)).unwrap();
        }
        symlink("../br0", folder.join("vb-web/master")).unwrap();
        assert_eq!(ends(&folder, "ve-alone"), ["ve-alone"]);
        assert_eq!(ends(&folder, "vb-web"), ["vb-web", "br0", "br0.10"]);
        assert_eq!(ends(&folder, "none"), ["none"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
