//! The addresses of a network interface, and the listeners on a port, in the network namespace of the calling thread.
//! Both come from the kernel: addresses by rtnetlink(7), listeners from proc_net(5).

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::fd::OwnedFd;
use rustix::net::netdevice::name_to_index;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::proxy::netlink::{
    AF_INET, AF_INET6, HEADER, NLM_F_REQUEST, aligned, attributes, open, u16_at, u32_at,
};

// linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_DUMP: u16 = 0x300;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_DADFAILED: u8 = 0x08;
const IFA_F_TENTATIVE: u8 = 0x40;
const RT_SCOPE_UNIVERSE: u8 = 0;
/// The length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

/// The maximum number of addresses to consider; the container may have any number.
const MOST_ADDRESSES: usize = 64;

/// The maximum number of bytes to read of a table of sockets, which the container may fill as well. Listening sockets
/// come first.
const MOST_OF_TABLE: u64 = 1 << 20;

/// A netlink socket, bound to the namespace in which it was opened.
pub(crate) struct Addresses {
    netlink: OwnedFd,
}

impl Addresses {
    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        Ok(Self { netlink: open()? })
    }

    /// Returns the addresses of `interface` that others can reach, IPv4 first.
    ///
    /// Link-local addresses are left out, and so are those that failed or have not yet passed duplicate address
    /// detection.
    pub(crate) fn of(&self, interface: &str) -> io::Result<Vec<IpAddr>> {
        let index = name_to_index(&self.netlink, interface)?;
        let mut request = Vec::with_capacity(HEADER + ADDRESS_HEADER);
        request.extend(24u32.to_ne_bytes());
        request.extend(RTM_GETADDR.to_ne_bytes());
        request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        request.resize(HEADER + ADDRESS_HEADER, 0);
        send(&self.netlink, &request, SendFlags::empty())?;
        let mut found = Vec::new();
        let mut buffer = vec![0; 65536];
        loop {
            let (_, length) = recv(&self.netlink, &mut buffer[..], RecvFlags::empty())?;
            if read_messages(buffer.get(..length).unwrap_or_default(), index, &mut found)? || length == 0 {
                break;
            }
        }
        found.sort_by_key(IpAddr::is_ipv6);
        found.truncate(MOST_ADDRESSES);
        Ok(found)
    }
}

/// Adds the addresses in one answer. Returns whether it was the last.
fn read_messages(mut bytes: &[u8], index: u32, found: &mut Vec<IpAddr>) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let Some(message) = bytes.get(HEADER..length) else { break };
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = i32::from_ne_bytes(message.first_chunk().copied().unwrap_or_default());
                return Err(io::Error::from_raw_os_error(-code));
            }
            RTM_NEWADDR => found.extend(address(message, index)),
            _ => {}
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// Returns the address in an RTM_NEWADDR message, if it belongs to the interface and can be reached.
fn address(message: &[u8], index: u32) -> Option<IpAddr> {
    let &[family, _, flags, scope] = message.first_chunk::<4>()?;
    if u32_at(message, 4)? != index
        || scope != RT_SCOPE_UNIVERSE
        || flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0
    {
        return None;
    }
    let mut found = None;
    for (kind, value) in attributes(message.get(ADDRESS_HEADER..)?) {
        let parsed = match family {
            AF_INET => <[u8; 4]>::try_from(value).ok().map(|bytes| IpAddr::from(Ipv4Addr::from(bytes))),
            AF_INET6 => <[u8; 16]>::try_from(value).ok().map(|bytes| IpAddr::from(Ipv6Addr::from(bytes))),
            _ => None,
        };
        match kind {
            // On a point-to-point link, IFA_ADDRESS is the peer's address.
            IFA_LOCAL => found = parsed,
            IFA_ADDRESS if found.is_none() => found = parsed,
            _ => {}
        }
    }
    found
}

/// Returns the addresses on which something listens for TCP connections to `port`, wildcards included.
pub(crate) fn listeners(port: u16) -> Vec<IpAddr> {
    // The calling thread may be in another namespace than its process.
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
        .iter()
        .flat_map(|path| read_listeners(&table(path), port))
        .collect()
}

fn table(path: &str) -> String {
    let mut text = String::new();
    // A table that cannot be read has no listeners.
    let _ = File::open(path).and_then(|file| file.take(MOST_OF_TABLE).read_to_string(&mut text));
    text
}

/// Reads lines such as `0: 0100007F:1F90 00000000:0000 0A …`, with the address in words of the machine's byte order.
fn read_listeners(table: &str, port: u16) -> Vec<IpAddr> {
    const LISTEN: &str = "0A";
    let line = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (address, local_port) = fields.next()?.split_once(':')?;
        if u16::from_str_radix(local_port, 16) != Ok(port) || fields.nth(1) != Some(LISTEN) {
            return None;
        }
        let words = (0..address.len() / 8).map(|word| {
            Some(u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok()?.to_ne_bytes())
        });
        let bytes = words.collect::<Option<Vec<[u8; 4]>>>()?.concat();
        match bytes.len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            _ => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        }
    };
    table.lines().filter_map(line).collect()
}

/// Returns whether connections to `address` reach a listener. One on `::` usually accepts IPv4 as well (`ipv6(7)`,
/// IPV6_V6ONLY).
pub(crate) fn reached(listener: &IpAddr, address: &IpAddr) -> bool {
    listener == address || listener.is_unspecified() && (listener.is_ipv6() || address.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine() {
        // The loopback's addresses have the scope of the host.
        let addresses = Addresses::here().unwrap().of("lo").unwrap();
        assert!(!addresses.contains(&"127.0.0.1".parse().unwrap()), "{addresses:?}");
        assert!(Addresses::here().unwrap().of("none-such").is_err());
    }

    #[test]
    fn kernel_answers() {
        let message = |family: u8, flags: u8, scope: u8, index: u32, attributes: &[(u16, &[u8])]| {
            let mut body = vec![family, 24, flags, scope];
            body.extend(index.to_ne_bytes());
            for (kind, value) in attributes {
                body.extend((4 + value.len() as u16).to_ne_bytes());
                body.extend(kind.to_ne_bytes());
                body.extend(*value);
                body.resize(body.len().next_multiple_of(4), 0);
            }
            let mut bytes = Vec::from((16 + body.len() as u32).to_ne_bytes());
            bytes.extend(RTM_NEWADDR.to_ne_bytes());
            bytes.resize(16, 0);
            bytes.extend(body);
            bytes
        };
        let v6 = "fd00::2".parse::<Ipv6Addr>().unwrap().octets();
        let mut answer = message(AF_INET6, 0, 0, 2, &[(IFA_ADDRESS, &v6), (6, &[0; 16])]);
        answer.extend(message(AF_INET, 0x80, 0, 2, &[(3, b"host0\0"), (IFA_LOCAL, &[10, 0, 0, 2])]));
        // A peer's address, another interface, link scope, tentative.
        answer.extend(message(
            AF_INET,
            0,
            0,
            2,
            &[(IFA_ADDRESS, &[10, 9, 9, 9]), (IFA_LOCAL, &[10, 0, 0, 3])],
        ));
        answer.extend(message(AF_INET, 0, 0, 3, &[(IFA_LOCAL, &[10, 0, 0, 4])]));
        answer.extend(message(AF_INET, 0, 253, 2, &[(IFA_LOCAL, &[169, 254, 0, 4])]));
        answer.extend(message(AF_INET6, IFA_F_TENTATIVE, 0, 2, &[(IFA_ADDRESS, &v6)]));
        let mut found = Vec::new();
        assert!(!read_messages(&answer, 2, &mut found).unwrap());
        assert_eq!(found, ["fd00::2", "10.0.0.2", "10.0.0.3"].map(|text| text.parse::<IpAddr>().unwrap()));
        // A message that is cut off anywhere causes no panic and no endless loop.
        for end in 0..answer.len() {
            let _ = read_messages(&answer[..end], 2, &mut Vec::new());
        }
        let done = [&20u32.to_ne_bytes()[..], &NLMSG_DONE.to_ne_bytes(), &[0; 14]].concat();
        assert!(read_messages(&done, 2, &mut found).unwrap());
    }

    #[test]
    fn tables_of_listeners() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
                     \x20  0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000\n\
                     \x20  1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000\n\
                     \x20  2: 0200000A:0050 0100000A:8000 01 00000000:00000000 00:00000000\n\
                     \x20  3: 00000000:0051 00000000:0000 0A 00000000:00000000 00:00000000\n";
        assert_eq!(
            read_listeners(table, 80),
            ["127.0.0.1", "0.0.0.0"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        let table = "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n\
                     \x20  1: 0000000000000000FFFF00000200000A:0050 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(read_listeners(table, 80), ["::", "10.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap()));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(
            reached(&address("::"), &address("10.0.0.2"))
                && reached(&address("0.0.0.0"), &address("10.0.0.2"))
        );
        assert!(!reached(&address("0.0.0.0"), &address("fd00::2")));
        assert!(!reached(&address("127.0.0.1"), &address("10.0.0.2")));
    }
}
