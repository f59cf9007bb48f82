//! The record of a create, update or remove in progress: a hidden file beside the intents. A killed command leaves it
//! behind, and the next command that changes something reverts or completes what was begun.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::AbsolutePath;
use nixos_nspawn_units::value::StorePath;
use serde::{Deserialize, Serialize};

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::host::files::{remove_file, sync_directory, write_file};
use crate::host::imported::Imported;

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// A create, which is reverted.
    Creating,
    /// An update, which is reverted, or kept if the new system runs (see decision/settlement.rs).
    Updating,
    /// A remove, which is completed.
    Removing,
    /// A rename, which is completed, or reverted if it failed.
    Renaming,
}

impl Begun {
    fn ending(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Updating => "updating",
            Self::Removing => "removing",
            Self::Renaming => "renaming",
        }
    }
}

/// What is needed to revert or complete a command.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RecordDetails {
    /// The directory of the profile's links.
    pub(crate) profile_directory: PathBuf,
    /// Whether the create made the profile directory.
    pub(crate) made_profile: bool,
    /// The new name in a rename.
    pub(crate) to: Option<MachineName>,
    /// What may be deleted of the state, and why.
    pub(crate) state: StateClaim,
    /// The phase of an update.
    pub(crate) phase: Phase,
    /// The text of the intent before an update.
    pub(crate) old_intent: String,
    /// The text of the intent that a create or an update is about to record.
    pub(crate) new_intent: String,
    /// The newest generation before an update; newer ones were made by it.
    pub(crate) newest_generation: u64,
    /// Whether the container was running before an update.
    pub(crate) ran: bool,
    /// The boot in which the container is being reloaded, if it is not restarted. In a later boot it has been started
    /// anew.
    pub(crate) reload: Option<String>,
    /// The profile that a rollback leaves. `update --all` does not return to it, unless the rollback is undone.
    pub(crate) left: Option<StorePath>,
    /// Whether an update only takes reach away, so that nothing that happens inside undoes it.
    pub(crate) only_takes_away: bool,
    /// Units that were running before an activation and stop with the container, because they require it.
    pub(crate) dependents: Vec<String>,
    /// Bind mount sources that were missing before a create; they are removed if they are empty.
    pub(crate) missing_sources: Vec<PathBuf>,
    /// What an import moves, or an undone import moves back.
    pub(crate) import: Option<Imported>,
}

/// What a command may delete of a container's state, and why: only what it has made, unless the administrator asked
/// for more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StateClaim {
    /// Nothing.
    #[default]
    None,
    /// A create is about to make the state directory: only an empty one is its own.
    Making,
    /// A create has made it.
    Made(FileId),
    /// A create has made it, the btrfs subvolume with this UUID. All subvolumes have the same inode, and the device changes
    /// with each mount.
    MadeSubvolume(String),
    /// A clone is about to make it, as a snapshot of the subvolume with this UUID.
    SnapshotOf(String),
    /// The administrator asked for it to be deleted.
    Asked,
}

/// The identity of a file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileId {
    /// The device (`stat(2)`).
    pub(crate) device: u64,
    /// The inode on that device.
    pub(crate) inode: u64,
}

/// The phase of an update; each is recorded before it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Only links for the build exist.
    #[default]
    Building,
    /// Profile and intent may be the new ones; the container has not been touched.
    Recording,
    /// The container is being started, reloaded or restarted, or is being checked.
    Activating,
    /// The container has passed its check; only the clean-up remains.
    Passed,
    /// The old configuration is recorded again, and the container was stopped to be started with it.
    Returning,
    /// A copy is complete but for its intent, which is written last.
    Copied,
    /// The container was started for the first time, and may hold data.
    Started,
}

impl Phase {
    /// Returns whether the container may have been touched.
    pub(crate) fn touched(self) -> bool {
        !matches!(self, Self::Building | Self::Recording)
    }
}

/// A record on disk.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The container.
    pub(crate) name: MachineName,
    /// What was begun.
    pub(crate) step: Begun,
    /// How to continue.
    pub(crate) details: RecordDetails,
    /// Why the details are not known, if they are not.
    unknown: Option<String>,
}

impl Record {
    /// Writes the record. It is the first write of a command, so that a read-only or full disk is detected here.
    pub(crate) fn begin(
        host: &Host,
        name: &MachineName,
        step: Begun,
        details: RecordDetails,
    ) -> Result<Self> {
        let record = Self::draft(name, step, details);
        record.save(host)?;
        Ok(record)
    }

    /// Returns a record that is not written yet.
    pub(crate) fn draft(name: &MachineName, step: Begun, details: RecordDetails) -> Self {
        Self { name: name.clone(), step, details, unknown: None }
    }

    /// Begins a removal when there is no room for a record: renaming the intent turns it into the record.
    pub(crate) fn begin_removal_without_room(
        host: &Host,
        name: &MachineName,
        details: RecordDetails,
    ) -> Result<Self> {
        let record = Self { name: name.clone(), step: Begun::Removing, details, unknown: None };
        let intent = host.intents().join(format!("{name}.json"));
        fs::rename(&intent, record.path(host))
            .with_context(|| format!("{}: cannot be renamed", intent.display()))?;
        sync_directory(&host.intents())?;
        Ok(record)
    }

    /// Undoes [`Record::begin`] or [`Record::begin_removal_without_room`] of a removal.
    pub(crate) fn cancel_removal(&self, host: &Host) -> Result<()> {
        let intent = host.intents().join(format!("{}.json", self.name));
        match intent.symlink_metadata() {
            Ok(_) => self.finish(host),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::rename(self.path(host), &intent)
                    .with_context(|| format!("{}: cannot be renamed back", intent.display()))?;
                sync_directory(&host.intents())
            }
            Err(error) => Err(error).with_context(|| intent.display().to_string()),
        }
    }

    /// Fails if the details are not known: what was begun cannot be reverted or completed then.
    pub(crate) fn readable(&self, host: &Host) -> Result<()> {
        match &self.unknown {
            None => Ok(()),
            Some(reason) => unchanged(
                format!(
                    "{}: is not a record of this version of nixos-nspawn: {reason}",
                    self.path(host).display()
                ),
                "install the version that wrote it, or delete this file",
            ),
        }
    }

    /// Rewrites the record with new details.
    pub(crate) fn save(&self, host: &Host) -> Result<()> {
        write_file(&self.path(host), serde_json::to_string(&self.details)?.as_bytes(), 0o600)
    }

    /// Removes the record when all is done.
    pub(crate) fn finish(&self, host: &Host) -> Result<()> {
        remove_file(&self.path(host))?;
        // It must not reappear after a power failure: by then the paths it would delete may be in use.
        sync_directory(&host.intents())
    }

    /// Reads a record. What is not understood in it is remembered, and [`Self::readable`] fails.
    pub(super) fn read(name: MachineName, step: Begun, bytes: &[u8]) -> Self {
        let (details, unknown) = match serde_json::from_slice::<RecordDetails>(bytes) {
            Ok(details) => (details, None),
            // A removal without room for its record has renamed the intent, which contains no details.
            Err(_) if step == Begun::Removing => (RecordDetails::default(), None),
            Err(error) => (RecordDetails::default(), Some(error.to_string())),
        };
        Self { details: details.checked(&name), name, step, unknown }
    }

    fn path(&self, host: &Host) -> PathBuf {
        host.intents().join(record_file(&self.name, self.step))
    }
}

/// Returns the name of a record's file.
pub(super) fn record_file(name: &MachineName, step: Begun) -> String {
    format!(".{name}.{}", step.ending())
}

/// Returns the container and the command that a file name stands for.
pub(super) fn named(file: &str) -> Option<(MachineName, Begun)> {
    let file = file.strip_prefix('.')?;
    [Begun::Creating, Begun::Updating, Begun::Removing, Begun::Renaming].into_iter().find_map(|step| {
        Some((file.strip_suffix(step.ending())?.strip_suffix('.')?.parse::<MachineName>().ok()?, step))
    })
}

impl RecordDetails {
    /// Drops paths that no command of ours writes.
    fn checked(mut self, name: &MachineName) -> Self {
        let plain = |path: &Path| path.to_str().is_some_and(|text| text.parse::<AbsolutePath>().is_ok());
        if !plain(&self.profile_directory)
            || self.profile_directory.file_name() != Some(OsStr::new(name.as_str()))
        {
            self.profile_directory = PathBuf::new();
        }
        self.missing_sources.retain(|path| plain(path));
        self.import = self.import.filter(Imported::is_plain);
        self
    }
}
