//! The record of a create, update or remove that is under way: a hidden file beside the intents. A command that is killed
//! leaves it, and the next one that changes something finds it and takes back, or finishes, what was begun.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::AbsolutePath;
use serde::{Deserialize, Serialize};

use crate::base::host::Host;
use crate::host::files::{remove_file, sync_directory, write_file};

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Taken back by whoever finds it.
    Creating,
    /// Taken back by whoever finds it, or accepted where the new system runs (see [`crate::switch`]).
    Updating,
    /// Finished by whoever finds it.
    Removing,
}

impl Begun {
    fn ending(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Updating => "updating",
            Self::Removing => "removing",
        }
    }
}

/// What is needed to take back or finish.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RecordDetails {
    /// Where the profile's links are.
    pub(crate) profile_directory: PathBuf,
    /// Whether the state directory is to be deleted: it was not there before a create, or a remove was told so.
    pub(crate) delete_state: bool,
    /// How far an update has come.
    pub(crate) phase: Phase,
    /// The text of the intent before an update.
    pub(crate) old_intent: String,
    /// The text of the intent that an update is about to record, its generation still the old one.
    pub(crate) new_intent: String,
    /// The newest generation before an update; what is newer was made by it.
    pub(crate) newest_generation: u64,
    /// Whether the container ran before an update.
    pub(crate) ran: bool,
    /// The boot in which the container is being reloaded, if it is not restarted: what starts it later starts it whole.
    pub(crate) reload: Option<String>,
    /// Whether an update only takes reach away, so that nothing that happens inside undoes it.
    pub(crate) only_takes_away: bool,
    /// Units that ran before an activation and stop with the container, since they require it.
    pub(crate) dependents: Vec<String>,
    /// Bind mount sources that were missing before a create; they go if they are empty.
    pub(crate) missing_sources: Vec<PathBuf>,
}

/// How far an update has come; each step is recorded before it is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Nothing but links for the build is there.
    #[default]
    Building,
    /// Profile and intent may be the new ones, the container was not touched.
    Recording,
    /// The container is being started, reloaded or restarted, or watched after it.
    Activating,
    /// The container has shown what was asked of it; only the end is left.
    Passed,
    /// All is recorded as before, and the container was stopped to be started with that again.
    Returning,
    /// It was started for the first time, and may hold data.
    Started,
}

/// A record on disk.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The container.
    pub(crate) name: MachineName,
    /// What was begun.
    pub(crate) step: Begun,
    /// How to go on.
    pub(crate) details: RecordDetails,
}

impl Record {
    /// Writes the record. It is the first thing a command writes, so a read-only or full disk shows here.
    pub(crate) fn begin(
        host: &Host,
        name: &MachineName,
        step: Begun,
        details: RecordDetails,
    ) -> Result<Self> {
        let record = Self { name: name.clone(), step, details };
        record.save(host)?;
        Ok(record)
    }

    /// Writes it again with new details.
    pub(crate) fn save(&self, host: &Host) -> Result<()> {
        write_file(&self.path(host), serde_json::to_string(&self.details)?.as_bytes(), 0o600)
    }

    /// All is done: the record goes.
    pub(crate) fn finish(&self, host: &Host) -> Result<()> {
        remove_file(&self.path(host))?;
        // It must not come back after a power failure: what it would have taken away may be in use by then.
        Ok(sync_directory(&host.intents())?)
    }

    fn file_name(&self) -> String {
        format!(".{}.{}", self.name, self.step.ending())
    }

    fn path(&self, host: &Host) -> PathBuf {
        host.intents().join(self.file_name())
    }
}

/// The records of commands that were killed, or still run: their locks tell which. A record tells what to delete, so only
/// root's are believed, as intents are.
pub(crate) fn pending(host: &Host) -> Vec<Record> {
    let folder = host.intents();
    let own = rustix::process::geteuid().as_raw();
    let trusted = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|metadata| {
            let owner = metadata.uid() == host.scope.owner || !host.live() && metadata.uid() == own;
            owner && metadata.mode() & 0o022 == 0 && (metadata.is_file() || metadata.is_dir())
        })
    };
    if !trusted(&folder) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut records: Vec<Record> = entries
        .flatten()
        .filter(|entry| trusted(&entry.path()))
        .filter_map(|entry| {
            let file = entry.file_name();
            let file = file.to_str()?.strip_prefix('.')?;
            let (name, step) =
                [Begun::Creating, Begun::Updating, Begun::Removing].into_iter().find_map(|step| {
                    Some((
                        file.strip_suffix(step.ending())?.strip_suffix('.')?.parse::<MachineName>().ok()?,
                        step,
                    ))
                })?;
            // A record cut off by a full disk cannot be: it is renamed into place. An unreadable one has no details.
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let details: RecordDetails = serde_json::from_str(&text).unwrap_or_default();
            Some(Record { details: details.checked(&name), name, step })
        })
        .collect();
    records.sort_by(|a, b| a.name.cmp(&b.name));
    records
}

impl RecordDetails {
    /// Without paths that no command of ours writes.
    fn checked(mut self, name: &MachineName) -> Self {
        let plain = |path: &Path| path.to_str().is_some_and(|text| text.parse::<AbsolutePath>().is_ok());
        if !plain(&self.profile_directory)
            || self.profile_directory.file_name() != Some(OsStr::new(name.as_str()))
        {
            self.profile_directory = PathBuf::new();
        }
        self.missing_sources.retain(|path| plain(path));
        self
    }
}
