//! Finds the container's address just before a proxy starts, and passes it to systemd-socket-proxyd in a file. Most
//! containers get their address by DHCP after they have started, so it is looked for at that moment and waited for.
//! An address that the host does not reach over the container's own link is rejected. One thread enters the
//! container's network, only to look: services that listen on the container's loopback stay out of reach, and the
//! others see connections from the host's address.

mod addresses;
mod netlink;
mod network_namespace;
mod route;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::socket::{TARGET_FILE, TARGET_VARIABLE};
use nixos_nspawn_units::value::Port;
use rustix::fd::{AsFd, OwnedFd};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::failure::Failure;
use crate::log::Log;
use crate::proxy::addresses::{Addresses, listeners, reached};
use crate::proxy::route::Route;

/// The container's end of its network (`systemd-nspawn(1)`).
const INTERFACE: &str = "host0";

/// How long to wait for an address: a container reports that it is ready while DHCP is still running.
const ADDRESS: Duration = Duration::from_secs(20);

/// How long to wait for a listener once there is an address.
const LISTENER: Duration = Duration::from_secs(5);

/// Finds the address of the container's port and writes it to the unit's runtime directory.
pub(crate) fn proxy(root: &Path, name: &MachineName, port: Port, log: &Log) -> Result<(), Failure> {
    let closed = |reason: String| {
        Failure::new(format!("port {} of container '{name}': {reason}, the connection is closed", port.get()))
    };
    let Some(folder) = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from) else {
        return Err(Failure {
            status: 2,
            message: "--proxy works only in a unit, where RUNTIME_DIRECTORY is set".to_owned(),
        });
    };
    let network = network_namespace::network(root, name)
        .ok_or_else(|| closed("the container is not running".to_owned()))?;
    let route =
        Route::to(name).map_err(|error| closed(format!("cannot read the host's network: {error}")))?;
    let looking = thread::Builder::new().spawn(move || look(&network, &route, port));
    let found = looking
        .map_err(|error| closed(format!("no thread: {error}")))?
        .join()
        .map_err(|_| closed("internal error, please report it".to_owned()))?;
    let address = match found {
        Ok(Found::Listening(address)) => address,
        Ok(Found::Silent(address)) => {
            log.warning(&format!(
                "port {} of container '{name}': nothing listens on it at {address}",
                port.get()
            ));
            address
        }
        Ok(Found::NoAddress) => {
            let seconds = ADDRESS.as_secs();
            return Err(closed(format!(
                "{INTERFACE} has no address after {seconds} s (is systemd-networkd running on the host and in the \
                 container?)"
            )));
        }
        Ok(Found::Elsewhere(address)) => {
            return Err(closed(format!(
                "{INTERFACE} has the address {address}, but the host's route to that does not lead to the container"
            )));
        }
        Err(error) => return Err(closed(format!("cannot read its network: {error}"))),
    };
    let path = folder.join(TARGET_FILE);
    // systemd-socket-proxyd splits at the last colon, and does not accept brackets.
    fs::write(&path, format!("{TARGET_VARIABLE}={address}:{}\n", port.get()))
        .map_err(|error| closed(format!("{}: {error}", path.display())))
}

/// The result of a look into the container's network.
enum Found {
    /// An address on which the port has a listener.
    Listening(IpAddr),
    /// The container's address, without a listener.
    Silent(IpAddr),
    /// No address.
    NoAddress,
    /// An address to which the host's route does not lead to the container.
    Elsewhere(IpAddr),
}

/// Looks for the port's address inside the container's network. Moves the calling thread into it for good, so it must
/// be called in a thread of its own.
fn look(network: &OwnedFd, route: &Route, port: Port) -> io::Result<Found> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let kernel = Addresses::here()?;
    let begin = Instant::now();
    let mut first_seen = None;
    loop {
        let mut addresses = Vec::new();
        let mut elsewhere = None;
        for address in kernel.of(INTERFACE)? {
            match route.leads_to(&address)? {
                true => addresses.push(address),
                false => elsewhere = elsewhere.or(Some(address)),
            }
        }
        let listeners = listeners(port.get());
        let listening =
            addresses.iter().find(|address| listeners.iter().any(|listener| reached(listener, address)));
        if let Some(address) = listening {
            return Ok(Found::Listening(*address));
        }
        match addresses.first() {
            Some(address) if first_seen.get_or_insert_with(Instant::now).elapsed() >= LISTENER => {
                return Ok(Found::Silent(*address));
            }
            // The host's end of the link may get its address later than the container's.
            None if begin.elapsed() >= ADDRESS => {
                return Ok(elsewhere.map_or(Found::NoAddress, Found::Elsewhere));
            }
            _ => thread::sleep(Duration::from_millis(100)),
        }
    }
}
