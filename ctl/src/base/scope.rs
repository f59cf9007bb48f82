//! Whose containers are managed: their directories, their owner, and the arguments for systemd's programs. Only the
//! system scope exists today; a user scope would be another value of this type.

use nixos_nspawn_units::copies::GC_ROOTS;
use nixos_nspawn_units::store;

/// Directories, owner and arguments. Directories are absolute paths of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Intents, and records of commands in progress.
    pub(crate) intents: &'static str,
    /// Root directories of containers; nspawn's search path is fixed.
    pub(crate) machines: &'static str,
    /// Locks, device copies and state kept until the next boot.
    pub(crate) runtime: &'static str,
    /// Where `systemctl enable` and `mask` make their links.
    pub(crate) unit_links: &'static str,
    /// Where packages and `make install` put units (`systemd.unit(5)`).
    pub(crate) packaged_units: [&'static str; 3],
    /// Where `systemctl mask --runtime` makes its links.
    pub(crate) runtime_units: &'static str,
    /// The generator directories in order of precedence (`systemd.generator(7)`).
    pub(crate) generators: [&'static str; 5],
    /// The directory where `setup` installs the generator.
    pub(crate) own_generators: &'static str,
    /// Directories of other .nspawn files and of the copies that `--prepare` makes (`systemd.nspawn(5)`).
    pub(crate) nspawn_files: [&'static str; 2],
    /// The host's journal directory, which may contain links to containers' journals.
    pub(crate) journal: &'static str,
    /// Nix's garbage collector roots, relative to the root directory.
    pub(crate) gc_roots: &'static str,
    /// The directory where systemd-machined registers machines, one file each.
    pub(crate) registered: &'static str,
    /// The credential stores of systemd, and whether they hold encrypted credentials only (`systemd.exec(5)`,
    /// LoadCredential=). The first two hold the credentials passed to the host itself.
    pub(crate) credential_stores: &'static [(&'static str, bool)],
    /// The administrator's defaults: the main file and the drop-in directory.
    pub(crate) defaults: [&'static str; 2],
    /// The first arguments for systemctl, systemd-run and journalctl.
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
        packaged_units: ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"],
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
        registered: "/run/systemd/machines",
        credential_stores: &[
            ("/run/credentials/@system", false),
            ("/run/credentials/@encrypted", true),
            ("/etc/credstore", false),
            ("/run/credstore", false),
            ("/usr/local/lib/credstore", false),
            ("/usr/lib/credstore", false),
            ("/etc/credstore.encrypted", true),
            ("/run/credstore.encrypted", true),
            ("/usr/local/lib/credstore.encrypted", true),
            ("/usr/lib/credstore.encrypted", true),
        ],
        defaults: ["/etc/nixos-nspawn.conf", "/etc/nixos-nspawn.conf.d"],
        manager: &[],
        owner: 0,
    };
}
