//! Nix, its store and its daemon.

use std::io;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::base::exit::refusal;
use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::Overview;
use crate::nix::profile::store_owner;
use crate::nix::tool::Nix;

/// The Nix of a running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NixSeen {
    /// What it says about itself, or why it cannot be run and the next step.
    pub(crate) says: Result<String, (String, String)>,
    /// The owner of the store; `None` if there is no store.
    pub(crate) owner: Seen<Option<u32>>,
    /// The daemon.
    pub(crate) daemon: DaemonSeen,
    /// The containers that use the daemon's socket.
    pub(crate) use_daemon: Vec<MachineName>,
}

/// The daemon's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DaemonSeen {
    /// There is none.
    Missing,
    /// It accepts connections.
    Accepts,
    /// It does not.
    Refuses(String),
    /// The caller may not connect.
    Unseen(Unseen),
}

/// The daemon's socket.
const SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

impl NixSeen {
    /// Looks at Nix.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        let says =
            Nix::find(host).and_then(|nix| nix.says_version()).map_err(|error| match refusal(&error) {
                Some(refusal) => (refusal.why.clone(), refusal.remedy.clone().unwrap_or_default()),
                None => (format!("{error:#}"), String::new()),
            });
        let daemon = daemon(&host.path(SOCKET));
        let users = overview
            .containers
            .values()
            .filter(|one| one.intent.as_ref().is_some_and(|intent| intent.container.mount_daemon_socket));
        Self {
            says,
            owner: store_owner(host).map_err(Unseen::from),
            daemon,
            use_daemon: users.map(|one| one.name.clone()).collect(),
        }
    }
}

/// Connects to the daemon, without waiting for one that does not accept.
fn daemon(path: &Path) -> DaemonSeen {
    let connected = SocketAddrUnix::new(path).and_then(|address| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    });
    match connected {
        Ok(()) => DaemonSeen::Accepts,
        Err(Errno::NOENT) => DaemonSeen::Missing,
        Err(Errno::AGAIN) => DaemonSeen::Refuses(format!("{SOCKET}: does not accept connections")),
        Err(error @ (Errno::ACCESS | Errno::PERM)) => {
            DaemonSeen::Unseen(Unseen::path(Path::new(SOCKET), &error.into()))
        }
        Err(error) => DaemonSeen::Refuses(format!("{SOCKET}: {}", io::Error::from(error))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::net::listen;

    use super::*;

    #[test]
    fn a_daemon_that_hangs_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert_eq!(daemon(&path), DaemonSeen::Missing);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(daemon(&path), DaemonSeen::Accepts);
        // Nobody accepts, and the queue is full.
        listen(&listener, 0).unwrap();
        let kept: Vec<DaemonSeen> = (0..3).map(|_| daemon(&path)).collect();
        assert!(kept.last().is_some_and(|last| matches!(last, DaemonSeen::Refuses(_))), "{kept:?}");
        drop(listener);
        assert!(matches!(daemon(&path), DaemonSeen::Refuses(_)));
    }
}
