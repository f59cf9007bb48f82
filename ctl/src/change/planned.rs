//! What a change would do, for `plan` and dry runs.

use anyhow::Result;
use nixos_nspawn_units::intent::{Intent, Overrides};
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::host::Host;
use crate::change::reach;
use crate::change::reach::{Approved, ReachPlan};
use crate::decision::activation::Decision;
use crate::fact::difference::{Difference, between};
use crate::fact::setuid_places;
use crate::host::last_activation::AppliedAction;

/// What would change and be done, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Planned {
    pub(crate) name: MachineName,
    /// Whether anything would change.
    pub(crate) changes: bool,
    pub(crate) old_generation: Option<u64>,
    /// The generation that a rollback goes to; null if it would be a new one.
    pub(crate) generation: Option<u64>,
    /// What would be done to the container, and why; null if nothing would change.
    pub(crate) action: Option<AppliedAction>,
    pub(crate) reason: Option<String>,
    #[serde(flatten)]
    pub(crate) difference: Difference,
    /// What would change in the container's reach into the host.
    pub(crate) host_reach: ReachPlan,
    pub(crate) notes: Vec<String>,
    /// What the administrator has set over the options of the build.
    pub(crate) overrides: Overrides,
    /// Why an update of all leaves the container as it is.
    pub(crate) skipped: Option<String>,
    /// Why it cannot be determined.
    pub(crate) error: Option<String>,
}

impl Planned {
    /// Returns the plan of a change without effect.
    pub(crate) fn nothing(name: &MachineName, generation: Option<u64>) -> Self {
        Self {
            name: name.clone(),
            changes: false,
            old_generation: generation,
            generation,
            action: None,
            reason: None,
            difference: Difference::default(),
            host_reach: ReachPlan::default(),
            notes: Vec::new(),
            overrides: Overrides::default(),
            skipped: None,
            error: None,
        }
    }

    /// Returns the plan for a container that an update of all leaves as it is.
    pub(crate) fn skipped(name: &MachineName, generation: Option<u64>, reason: String) -> Self {
        Self { skipped: Some(reason), ..Self::nothing(name, generation) }
    }

    /// Returns the plan from one intent to another, to `generation` if that is known.
    pub(crate) fn of(
        host: &Host,
        name: &MachineName,
        [old, new]: [&Intent; 2],
        decision: Decision,
        generation: Option<u64>,
        approved: Approved,
    ) -> Result<Self> {
        Ok(Self {
            changes: true,
            generation,
            action: Some(decision.action.into()),
            reason: Some(decision.reason),
            difference: between(host, name, old, new)?,
            host_reach: reach::plan(host, old, new, approved),
            notes: setuid_places::warning(host, name, new, Some(old)).into_iter().collect(),
            overrides: new.overrides.clone(),
            ..Self::nothing(name, old.generation)
        })
    }
}
