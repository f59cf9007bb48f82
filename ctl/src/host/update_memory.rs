//! The record of a container's updates, in a file beside the profile: the last build, which makes another
//! evaluation unnecessary if nothing changed; the last failure, which `update --all` does not repeat; and the
//! hold.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::secrets::without_secrets;
use crate::base::time;
use crate::host::files::{read_small, write_file};

/// The file in the container's profile directory.
pub(crate) const UPDATE_MEMORY: &str = "updates.json";

/// The version of the format. A greater one may give the known fields another meaning.
const VERSION: u32 = 1;

/// The number of failed profiles that are remembered.
const REFUSED: usize = 32;

/// The record of a container's updates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct UpdateMemory {
    /// The version of the format in the file.
    #[serde(default)]
    version: u32,
    /// The last build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) built: Option<BuiltFrom>,
    /// The last failure, until an update succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// The failures of profiles that `update --all` does not activate again, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Failure>,
    /// The hold, if the container is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Hold>,
    /// What this version does not know.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// The inputs of a build, without passwords, and its result. The same revision, system and arguments give the same result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The hash of all arguments for Nix, which may contain secrets.
    #[serde(default)]
    pub(crate) arguments_hash: String,
    /// The profile that was built.
    pub(crate) output: StorePath,
}

/// An update that failed, or was rolled back by the administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Failure {
    /// The time of the failure (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The update failed.
    Failed,
    /// The administrator rolled it back.
    RolledBack,
}

/// A hold: `update --all` skips the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Hold {
    /// The time since which the container is held (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
    pub(crate) since: String,
    /// The reason, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Returns whether a profile directory is named like the container. Another may be that of another container, if an intent
/// was copied, or belong to a user.
pub(crate) fn is_named_like(directory: &Path, name: &MachineName) -> bool {
    directory.file_name().is_some_and(|file| file == name.as_str())
}

impl BuiltFrom {
    /// Returns the hash of arguments for Nix. It reveals none of them.
    pub(crate) fn hash_of(arguments: &[String]) -> String {
        let mut hasher = SipHasher24::new();
        for word in arguments {
            hasher.write(word.as_bytes());
            hasher.write_u8(0);
        }
        format!("{:032x}", hasher.finish128().as_u128())
    }
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
        Self { time: time::utc(SystemTime::now()), kind, reason: without_secrets(&reason.into()), output }
    }
}

impl UpdateMemory {
    /// Reads the file in the profile directory, a path of the system. Fails if the file is unreadable, since it
    /// may hold the container. Nothing is remembered in a directory that is not named like the container.
    pub(crate) fn read(host: &Host, name: &MachineName, folder: &Path) -> Result<Self> {
        if !is_named_like(folder, name) {
            return Ok(Self::default());
        }
        let path = host.directory(folder).join(UPDATE_MEMORY);
        let text = match read_small(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let mut memory: Self = serde_json::from_slice(&text).map_err(|error| {
            let why = format!("{}: cannot be read: {error}", path.display());
            Failed::unchanged(why, "delete it; if the container was held, hold it again")
        })?;
        if memory.version > VERSION {
            let why = format!("{}: was written by a newer version of nixos-nspawn", path.display());
            return unchanged(why, "update nixos-nspawn");
        }
        // It says nothing about the container.
        memory.version = 0;
        Ok(memory)
    }

    /// Reads, changes and writes the file. Writes nothing if nothing changes.
    pub(crate) fn change(
        host: &Host,
        name: &MachineName,
        folder: &Path,
        change: impl FnOnce(&mut Self),
    ) -> Result<()> {
        if !is_named_like(folder, name) {
            return Ok(());
        }
        let before = Self::read(host, name, folder)?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        after.version = VERSION;
        let text = serde_json::to_string(&after)? + "\n";
        write_file(&host.directory(folder).join(UPDATE_MEMORY), text.as_bytes(), 0o644)
    }

    /// Returns the failure of this profile, if it failed.
    pub(crate) fn failed(&self, output: &StorePath) -> Option<&Failure> {
        self.refused.iter().find(|failure| failure.output.as_ref() == Some(output))
    }

    /// Remembers a failure. One without a profile leaves those of profiles as they are.
    pub(crate) fn fails(&mut self, failure: Failure) {
        if failure.output.is_some() {
            self.refused.retain(|one| one.output != failure.output);
            self.refused.push(failure.clone());
        }
        let excess = self.refused.len().saturating_sub(REFUSED);
        self.refused.drain(..excess);
        self.failure = Some(failure);
    }

    /// Forgets the last failure and those of this profile, since an update to it succeeded.
    pub(crate) fn works(&mut self, output: &StorePath) {
        self.wanted(output);
        self.failure = None;
    }

    /// Forgets the failures of this profile, which the administrator goes to.
    pub(crate) fn wanted(&mut self, output: &StorePath) {
        let of = |failure: &Failure| failure.output.as_ref() == Some(output);
        self.refused.retain(|failure| !of(failure));
        self.failure = self.failure.take().filter(|failure| !of(failure));
    }

    /// Forgets the last failure, since there is nothing to update. A failed generation that was kept running is current,
    /// but its failure is still remembered.
    pub(crate) fn up_to_date(&mut self, output: Option<&StorePath>) {
        let stays = |failure: &Failure| failure.output.is_some() && failure.output.as_ref() == output;
        self.failure = self.failure.take().filter(stays);
    }
}

#[cfg(test)]
mod tests;
