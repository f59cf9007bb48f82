//! The record of a container's updates, in a file beside the profile: the last build, which makes another
//! evaluation unnecessary if nothing changed; the last failure, which `update --all` does not repeat; and the
//! hold.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::value::StorePath;
use serde::{Deserialize, Serialize};

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::time;
use crate::host::files::write_file;

/// The file in the container's profile directory.
pub(crate) const UPDATE_MEMORY: &str = "updates.json";

/// The record of a container's updates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpdateMemory {
    /// The last build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) built: Option<BuiltFrom>,
    /// The last failure, until an update succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// The hold, if the container is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Hold>,
}

/// The inputs of a build, and its result. The same revision, system and arguments give the same result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuiltFrom {
    /// The flake, as recorded.
    pub(crate) flake: String,
    /// The flake at its revision.
    pub(crate) locked: String,
    /// The reference that was evaluated.
    pub(crate) reference: String,
    /// The revisions of the inputs.
    pub(crate) inputs: String,
    /// The attribute.
    pub(crate) attribute: String,
    /// The Nix system.
    pub(crate) system: String,
    /// All arguments for Nix.
    pub(crate) arguments: Vec<String>,
    /// The profile that was built.
    pub(crate) output: StorePath,
}

/// An update that failed, or was rolled back by the administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The time of the failure (RFC 3339).
    pub(crate) time: String,
    /// How the update failed.
    pub(crate) kind: FailureKind,
    /// Why the update failed.
    pub(crate) reason: String,
    /// The profile that failed; none if the update failed before it was activated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<StorePath>,
}

/// How an update failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The update failed.
    Failed,
    /// The administrator rolled it back.
    RolledBack,
}

/// A hold: `update --all` skips the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// The time since which the container is held (RFC 3339).
    pub(crate) since: String,
    /// The reason, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Hold {
    /// Describes since when and why the container is held.
    pub(crate) fn text(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("held since {}{reason}", time::local_of(&self.since))
    }

    /// Returns a hold that begins now.
    pub(crate) fn now(reason: Option<String>) -> Self {
        Self { since: time::utc(SystemTime::now()), reason }
    }
}

impl Failure {
    /// Describes when and why the update failed.
    pub(crate) fn text(&self) -> String {
        let how = match self.kind {
            FailureKind::Failed => "failed at",
            FailureKind::RolledBack => "was rolled back at",
        };
        let reason = self.reason.lines().next().unwrap_or_default();
        format!("{how} {}: {reason}", time::local_of(&self.time))
    }

    /// Returns a failure at the present time.
    pub(crate) fn now(kind: FailureKind, reason: impl Into<String>, output: Option<StorePath>) -> Self {
        Self { time: time::utc(SystemTime::now()), kind, reason: reason.into(), output }
    }
}

impl UpdateMemory {
    /// Reads the file in the profile directory, a path of the system. Fails if the file is unreadable, since it
    /// may hold the container.
    pub(crate) fn read(host: &Host, folder: &Path) -> Result<Self> {
        let path = host.path(folder).join(UPDATE_MEMORY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        serde_json::from_str(&text).map_err(|error| {
            let why = format!("{}: cannot be read: {error}", path.display());
            Failed::unchanged(why, "delete it, then 'hold' containers again that shall not be updated").into()
        })
    }

    /// Reads, changes and writes the file. Writes nothing if nothing changes.
    pub(crate) fn change(host: &Host, folder: &Path, change: impl FnOnce(&mut Self)) -> Result<()> {
        let before = Self::read(host, folder)?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        let text = serde_json::to_string(&after)? + "\n";
        write_file(&host.path(folder).join(UPDATE_MEMORY), text.as_bytes(), 0o644)
    }

    /// Returns the last failure if it is of this profile.
    pub(crate) fn failed(&self, output: &StorePath) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| failure.output.as_ref() == Some(output))
    }
}
