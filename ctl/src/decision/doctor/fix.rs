//! Repairs that `doctor --fix` may make.

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
