//! The options of an apply.

use crate::change::side_by_side::Limits;
use crate::change::update_options::UpdateOptions;

/// The options of an apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplyOptions<'a> {
    /// How containers that exist are updated.
    pub(crate) update: UpdateOptions<'a>,
    /// Whether to remove what the flake no longer has.
    pub(crate) prune: bool,
    /// Whether to start what starts with the host.
    pub(crate) start: bool,
    /// How many builds and activations may run at the same time.
    pub(crate) limits: Limits,
}
