//! Repairs that `doctor --fix` may make.

use std::fmt;

use nixos_nspawn_units::name::MachineName;

/// A repair without risk, which another command makes as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fix {
    /// Install the programs that were shipped with this one in place of those that `setup` has installed.
    Setup,
    /// Record what the generator must know about the host.
    RecordHost,
    /// Make systemd run the generators.
    Reload,
    /// Root the recorded system of this container again.
    Root(MachineName),
    /// Remove what was left behind.
    Litter,
    /// Restart networkd, which masquerades again.
    Masquerade,
    /// Open the ports of this container.
    Ports(MachineName),
}

impl fmt::Display for Fix {
    /// Writes what the repair does, as after "would".
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup => out.write_str("install the generator of this version"),
            Self::RecordHost => out.write_str("record the version of systemd"),
            Self::Reload => out.write_str("run 'systemctl daemon-reload'"),
            Self::Root(name) => write!(out, "make a root for container '{name}'"),
            Self::Litter => out.write_str("remove what was left behind"),
            Self::Masquerade => out.write_str("restart systemd-networkd"),
            Self::Ports(name) => write!(out, "start the sockets of container '{name}'"),
        }
    }
}
