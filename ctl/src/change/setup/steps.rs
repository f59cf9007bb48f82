//! The steps of an installation and of its removal.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Host as HostFacts;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetupStep {
    /// Keep the generator of a package.
    Keep(PathBuf),
    /// Install programs and files.
    Install(Places),
    /// Record what the generator must know about the host.
    Record(HostFacts),
    /// Make networkd keep what other programs made.
    ConfigureNetworkd,
    /// Enable and start networkd.
    EnableNetworkd,
    /// Remove that configuration; networkd itself stays as it is.
    ReleaseNetworkd {
        /// Whether it runs.
        runs: bool,
    },
    /// Install, enable and start the timer that updates all containers.
    EnableUpdates,
    /// Remove it.
    DisableUpdates,
    /// Nothing is installed.
    NothingInstalled,
    /// Stop a container.
    Stop(MachineName),
    /// Delete files, and keep the records of containers.
    Delete {
        /// The files.
        paths: Vec<PathBuf>,
        /// The number of records that are kept.
        records: usize,
    },
}

/// What is installed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The generator that came with this program.
    pub(crate) source: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// The path of its copy.
    pub(crate) generator: PathBuf,
    /// The path of its copy that serves as unit helper.
    pub(crate) helper: PathBuf,
    /// The directory of the Nix files.
    pub(crate) files: PathBuf,
}

/// The options of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetupOptions<'a> {
    /// Whether to enable networkd as well.
    pub(crate) networkd: bool,
    /// Whether to update all containers by a timer, and when.
    pub(crate) auto_update: Option<Option<&'a str>>,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// Receives each step.
pub(crate) type Done<'a> = &'a mut dyn FnMut(SetupStep) -> Result<()>;
