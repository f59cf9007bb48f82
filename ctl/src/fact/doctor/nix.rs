//! Nix, its store and its daemon.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;

use nixos_nspawn_units::name::MachineName;

use crate::base::exit::refusal;
use crate::base::host::Host;
use crate::fact::overview::Overview;
use crate::nix::profile::store_owner;
use crate::nix::tool::Nix;

/// The Nix of a running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NixSeen {
    /// What it says about itself, or why it cannot be run and the next step.
    pub(crate) says: Result<String, (String, String)>,
    /// The owner of the store; `None` if there is no store.
    pub(crate) owner: Result<Option<u32>, String>,
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
        let daemon = match UnixStream::connect(host.path(SOCKET)) {
            Ok(_) => DaemonSeen::Accepts,
            Err(error) if error.kind() == ErrorKind::NotFound => DaemonSeen::Missing,
            Err(error) => DaemonSeen::Refuses(format!("{SOCKET}: {error}")),
        };
        let users = overview
            .containers
            .values()
            .filter(|one| one.intent.as_ref().is_some_and(|intent| intent.container.mount_daemon_socket));
        Self {
            says,
            owner: store_owner(host).map_err(|error| format!("{error:#}")),
            daemon,
            use_daemon: users.map(|one| one.name.clone()).collect(),
        }
    }
}
