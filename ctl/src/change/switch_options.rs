//! The options and the result of a switch.

use std::path::PathBuf;

use nixos_nspawn_units::intent::Strategy;
use nixos_nspawn_units::value::StorePath;

use crate::change::gate::Expectation;
use crate::decision::activation::Action;
use crate::host::snapshots::Snapshot;

/// What to set the profile to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A new generation of this profile.
    New(StorePath),
    /// An existing generation.
    Present(u64),
}

/// What a switch does with the container's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StateChange {
    /// Nothing.
    None,
    /// A snapshot of it is kept before the container starts with the new generation.
    Snapshot,
    /// It is exchanged for a copy of this snapshot.
    Restore(Snapshot),
}

/// The result of a switch.
pub(crate) struct Switched {
    /// The current generation.
    pub(crate) generation: Option<u64>,
    /// What was done to the container in the end.
    pub(crate) action: Action,
    /// The reason.
    pub(crate) reason: String,
    /// The snapshot of the earlier state.
    pub(crate) snapshot: Option<PathBuf>,
}

/// How to activate a new generation, and the conditions that the container must meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activation<'a> {
    /// The strategy, or the container's own.
    pub(crate) strategy: Option<Strategy>,
    /// The conditions that override those stored with the container.
    pub(crate) expectation: Expectation<'a>,
    /// Whether to keep a failed generation running, for inspection.
    pub(crate) keep: bool,
}
