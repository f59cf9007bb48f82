//! The record of a container's last activation: a file beside the profile, or in /run if the container has no
//! profile of its own. It is only shown; nothing depends on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::{Deserialize, Serialize};

use crate::base::host::Host;
use crate::base::secrets::without_secrets;
use crate::base::time;
use crate::host::files::{read_small, write_file, write_file_for_now};

/// The file in the container's profile directory.
pub(crate) const LAST_ACTIVATION: &str = "last-activation.json";

/// The extension of the file in /run.
pub(crate) const ENDING: &str = ".activated";

/// The last activation of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct LastActivation {
    /// When it ended, RFC 3339.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
    pub(crate) time: String,
    /// The generation; 0 if it had no number yet.
    pub(crate) generation: u64,
    /// What was done.
    pub(crate) action: AppliedAction,
    /// The result.
    pub(crate) result: ActivationResult,
    /// Details for people: why it failed, or why this action was chosen; may be empty.
    #[serde(default)]
    pub(crate) detail: String,
}

/// What was done to a container to activate a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum AppliedAction {
    /// The system inside was switched.
    Reload,
    /// The container was restarted.
    Restart,
    /// The container was started.
    Start,
    /// Nothing; the generation is activated at the next start.
    None,
}

/// The result of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActivationResult {
    /// It succeeded.
    Done,
    /// It failed; the previous generation is active again, unless the detail says otherwise.
    Failed,
}

impl LastActivation {
    /// Returns an activation that ended just now.
    pub(crate) fn now(
        generation: u64,
        action: AppliedAction,
        result: ActivationResult,
        detail: impl Into<String>,
    ) -> Self {
        let detail = without_secrets(&detail.into());
        Self { time: time::utc(SystemTime::now()), generation, action, result, detail }
    }

    /// Writes the file into the profile directory, a path of the system.
    pub(crate) fn write(&self, host: &Host, folder: &Path) -> Result<()> {
        let text = serde_json::to_string(self)? + "\n";
        write_file(&host.directory(folder).join(LAST_ACTIVATION), text.as_bytes(), 0o644)
    }

    /// Writes the file in /run.
    pub(crate) fn write_for_now(&self, host: &Host, name: &MachineName) -> Result<()> {
        fs::create_dir_all(host.runtime())?;
        let text = serde_json::to_string(self)? + "\n";
        Ok(write_file_for_now(&for_now(host, name), text.as_bytes(), 0o644)?)
    }

    /// Reads the file in /run.
    pub(crate) fn read_for_now(host: &Host, name: &MachineName) -> Option<Self> {
        serde_json::from_slice(&fs::read(for_now(host, name)).ok()?).ok()
    }

    /// Reads the file; returns `None` if there is none or it is invalid.
    pub(crate) fn read(host: &Host, folder: &Path) -> Option<Self> {
        serde_json::from_slice(&read_small(&host.directory(folder).join(LAST_ACTIVATION)).ok()?).ok()
    }
}

fn for_now(host: &Host, name: &MachineName) -> PathBuf {
    host.runtime().join(format!("{name}{ENDING}"))
}
