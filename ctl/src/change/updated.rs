//! The result of an update or a rollback, as scripts see it.

use std::path::PathBuf;
use std::time::Duration;

use nixos_nspawn_units::name::MachineName;
use serde::{Deserialize, Serialize};

use crate::base::secrets::without_secrets;
use crate::change::switch_options::Switched;
use crate::fact::reachable::Reachable;
use crate::host::last_activation::AppliedAction;

/// How an update or a rollback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdateResult {
    /// `apply` has created it.
    Created,
    /// `apply` has started it.
    Started,
    /// `apply` has removed it; its state is kept.
    Removed,
    /// The flake that `apply` has created it from no longer has it for this host.
    Gone,
    /// A new generation is recorded.
    Updated,
    /// An earlier generation is recorded.
    RolledBack,
    /// There was nothing to do.
    UpToDate,
    /// Left as it is on purpose.
    Skipped,
    /// It was reverted, or nothing was changed; the error tells which.
    Failed,
}

/// One container's result.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Updated {
    pub(crate) name: MachineName,
    pub(crate) result: UpdateResult,
    /// The previous generation; null after a failure.
    pub(crate) old_generation: Option<u64>,
    /// The recorded generation; null after a failure.
    pub(crate) generation: Option<u64>,
    /// What was done to the container, and why; null if there was nothing to do.
    pub(crate) action: Option<AppliedAction>,
    pub(crate) reason: Option<String>,
    pub(crate) error: Option<String>,
    /// The reason why the source may be out of date; null if it was refreshed.
    pub(crate) not_refreshed: Option<String>,
    /// The snapshot of the state before; null if none was made.
    pub(crate) snapshot: Option<PathBuf>,
    /// Where the container can be reached; the caller finds that out.
    #[serde(flatten)]
    pub(crate) reachable: Reachable,
    /// The duration of the update.
    pub(crate) seconds: f64,
}

impl Updated {
    /// Returns the result if there was nothing to do.
    pub(crate) fn nothing(name: &MachineName, generation: Option<u64>) -> Self {
        Self {
            name: name.clone(),
            result: UpdateResult::UpToDate,
            old_generation: generation,
            generation,
            action: None,
            reason: None,
            error: None,
            not_refreshed: None,
            snapshot: None,
            reachable: Reachable::default(),
            seconds: 0.0,
        }
    }

    /// Adds why the source may be out of date.
    pub(crate) fn with_stale(self, stale: Option<String>) -> Self {
        Self { not_refreshed: stale.map(|reason| without_secrets(&reason)), ..self }
    }

    /// Returns the result for a skipped container.
    pub(crate) fn skipped(name: &MachineName, generation: Option<u64>, reason: String) -> Self {
        Self { result: UpdateResult::Skipped, reason: Some(reason), ..Self::nothing(name, generation) }
    }

    /// Returns the result of a switch.
    pub(crate) fn switched(
        name: &MachineName,
        before: Option<u64>,
        switched: Switched,
        result: UpdateResult,
    ) -> Self {
        let Switched { generation, action, reason, snapshot } = switched;
        let (action, reason) = (Some(action.into()), Some(reason));
        Self { result, generation, action, reason, snapshot, ..Self::nothing(name, before) }
    }

    /// Adds the duration.
    pub(crate) fn with_time(self, time: Duration) -> Self {
        Self { seconds: (time.as_secs_f64() * 10.0).round() / 10.0, ..self }
    }

    /// Returns the result of a failure.
    pub(crate) fn failed(name: &MachineName, error: &anyhow::Error) -> Self {
        let error = without_secrets(&format!("{error:#}"));
        Self { result: UpdateResult::Failed, error: Some(error), ..Self::nothing(name, None) }
    }
}
