//! The results of an apply.

use std::collections::BTreeMap;

use nixos_nspawn_units::name::MachineName;

use crate::base::secrets::without_secrets;
use crate::change::updated::{UpdateResult, Updated};

/// A container's result.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) updated: Updated,
    /// Whether the container was changed, also if something failed afterwards.
    pub(crate) changed: bool,
}

impl From<Updated> for Applied {
    fn from(updated: Updated) -> Self {
        let changed = matches!(
            updated.result,
            UpdateResult::Created | UpdateResult::Updated | UpdateResult::Started | UpdateResult::Removed
        );
        Self { updated, changed }
    }
}

/// The results by name.
pub(super) type Results = BTreeMap<MachineName, Applied>;

/// Turns a result into a failure, without losing what was done.
pub(super) fn fail(results: &mut Results, name: &MachineName, why: &str) {
    if let Some(one) = results.get_mut(name) {
        one.updated.result = UpdateResult::Failed;
        one.updated.error = Some(without_secrets(why));
    }
}
