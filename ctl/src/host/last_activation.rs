//! How a generation was last put into effect: a file beside the profile. Nothing depends on it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::base::host::Host;
use crate::base::time;
use crate::host::files::write_file;

/// The file in the folder of a container's profile.
pub(crate) const LAST_ACTIVATION: &str = "last-activation.json";

/// How a generation was last put into effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastActivation {
    /// When it ended, RFC 3339.
    pub(crate) time: String,
    /// Which one; 0 if it had no number yet.
    pub(crate) generation: u64,
    /// How.
    pub(crate) action: AppliedAction,
    /// How that ended.
    pub(crate) result: ActivationResult,
    /// More for people: why it failed, or why this action was taken; may be empty.
    #[serde(default)]
    pub(crate) detail: String,
}

/// What was done to a container so that it takes on a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AppliedAction {
    /// The system inside switched.
    Reload,
    /// It was restarted.
    Restart,
    /// It was started.
    Start,
    /// Nothing; the next start takes it on.
    None,
}

/// How an activation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActivationResult {
    /// As asked for.
    Done,
    /// The generation before it is in force again, unless the detail says otherwise.
    Failed,
}

impl LastActivation {
    /// One that ended now.
    pub(crate) fn now(
        generation: u64,
        action: AppliedAction,
        result: ActivationResult,
        detail: impl Into<String>,
    ) -> Self {
        Self { time: time::utc(SystemTime::now()), generation, action, result, detail: detail.into() }
    }

    /// Writes it into the folder of a profile, a path of the system.
    pub(crate) fn write(&self, host: &Host, folder: &Path) -> Result<()> {
        let text = serde_json::to_string(self)? + "\n";
        write_file(&host.path(folder).join(LAST_ACTIVATION), text.as_bytes(), 0o644)
    }

    /// Reads it; `None` if there was no activation, or the file cannot be made sense of.
    pub(crate) fn read(host: &Host, folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(host.path(folder).join(LAST_ACTIVATION)).ok()?;
        serde_json::from_str(&text).ok()
    }
}
