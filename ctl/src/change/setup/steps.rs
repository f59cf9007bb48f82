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
    /// Record the host facts that the generator needs.
    Record(HostFacts),
    /// Make networkd keep the rules and routes of other programs.
    ConfigureNetworkd,
    /// Enable and start networkd.
    EnableNetworkd,
    /// Remove the configuration for networkd; networkd itself is not changed.
    ReleaseNetworkd {
        /// Whether networkd is running.
        runs: bool,
    },
    /// Install, enable and start the timer that updates all containers.
    EnableUpdates,
    /// Remove the timer.
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
    /// The generator shipped with this program.
    pub(crate) source: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// The path where the generator is installed.
    pub(crate) generator: PathBuf,
    /// The path of the second copy, which serves as unit helper.
    pub(crate) helper: PathBuf,
    /// The directory of the Nix files.
    pub(crate) files: PathBuf,
}

/// The options of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetupOptions<'a> {
    /// Whether to enable networkd as well.
    pub(crate) networkd: bool,
    /// The calendar event of the timer that updates all containers; `Some(None)` for the default time.
    pub(crate) auto_update: Option<Option<&'a str>>,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// Receives each step.
pub(crate) type Done<'a> = &'a mut dyn FnMut(SetupStep) -> Result<()>;
