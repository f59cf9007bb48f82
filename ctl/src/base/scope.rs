//! Whose containers they are: the directories they live in, their owner, and what systemd's programs are told. Today
//! there is the system's scope only; one of a user would be another value of this type.

use nixos_nspawn_units::copies::GC_ROOTS;
use nixos_nspawn_units::store;

/// Directories, owner and arguments. Directories are absolute paths of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Intents and the records of commands under way.
    pub(crate) intents: &'static str,
    /// Roots of containers; nspawn's search path is fixed.
    pub(crate) machines: &'static str,
    /// Locks, device copies and what is remembered until the next boot.
    pub(crate) runtime: &'static str,
    /// Where `systemctl enable` and `mask` make their links.
    pub(crate) unit_links: &'static str,
    /// Where `systemctl mask --runtime` makes its links.
    pub(crate) runtime_units: &'static str,
    /// Where the manager looks for generators; the first of a name counts (`systemd.generator(7)`).
    pub(crate) generators: [&'static str; 5],
    /// Where `setup` puts the generator.
    pub(crate) own_generators: &'static str,
    /// Settings files of others, and the copies that `--prepare` makes (`systemd.nspawn(5)`).
    pub(crate) nspawn_files: [&'static str; 2],
    /// The host's journals, among which a container's may be linked.
    pub(crate) journal: &'static str,
    /// Roots for Nix's garbage collector, relative to the root directory.
    pub(crate) gc_roots: &'static str,
    /// What systemctl, systemd-run and journalctl are told first.
    pub(crate) manager: &'static [&'static str],
    /// The user that intents and records must belong to.
    pub(crate) owner: u32,
}

impl Scope {
    /// Containers of the system, managed by root.
    pub(crate) const SYSTEM: Self = Self {
        intents: store::DIRECTORY,
        machines: "/var/lib/machines",
        runtime: "/run/nixos-nspawn",
        unit_links: "/etc/systemd/system",
        runtime_units: "/run/systemd/system",
        generators: [
            "/run/systemd/system-generators",
            "/etc/systemd/system-generators",
            "/usr/local/lib/systemd/system-generators",
            "/usr/lib/systemd/system-generators",
            "/lib/systemd/system-generators",
        ],
        own_generators: "/etc/systemd/system-generators",
        nspawn_files: ["/etc/systemd/nspawn", "/run/systemd/nspawn"],
        journal: "/var/log/journal",
        gc_roots: GC_ROOTS,
        manager: &[],
        owner: 0,
    };
}
