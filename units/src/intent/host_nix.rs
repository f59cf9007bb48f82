//! The parts of the host's Nix that a container sees, always read-only: the store, the profiles, the database, and the
//! daemon's socket if the container asks for it. nspawn/host_nix.rs turns them into mounts.

use super::{BindMount, BindSource, Container};

/// A part of the host's Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NixPart {
    /// The name of its mount point.
    pub name: &'static str,
    /// Its path, on the host and inside.
    pub path: &'static str,
}

/// Without the database, Nix inside would consider all paths of the store garbage.
const DATABASE: &str = "/nix/var/nix/db";

/// All parts, the socket last.
pub const NIX_PARTS: [NixPart; 4] = [
    NixPart { name: "store", path: "/nix/store" },
    NixPart { name: "profiles", path: "/nix/var/nix/profiles" },
    NixPart { name: "db", path: DATABASE },
    NixPart { name: "daemon-socket", path: "/nix/var/nix/daemon-socket" },
];

impl Container {
    /// Returns the parts that the container sees.
    pub fn nix_parts(&self) -> impl Iterator<Item = NixPart> {
        let seen = if self.mount_daemon_socket { NIX_PARTS.len() } else { NIX_PARTS.len() - 1 };
        NIX_PARTS.into_iter().take(seen)
    }
}

impl BindMount {
    /// Returns whether it mounts the host's database at its own path, as users did before every container saw it.
    pub fn is_host_database(&self) -> bool {
        matches!(&self.source, BindSource::Host(path) if path.as_str() == DATABASE)
            && self.destination.as_str() == DATABASE
    }
}
