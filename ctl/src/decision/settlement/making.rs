//! Settles a container that was being made or removed.

use super::row::{Case, Row, look_up};
use crate::host::record::{Begun, Phase};

/// How to settle a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Everything was done; the record is removed.
    Keep {
        /// Whether its units are loaded and its ports opened first.
        load: bool,
    },
    /// What a create made is removed, optionally with the state directory.
    TakeAway {
        /// Whether the state directory is removed.
        state: bool,
    },
    /// The removal is completed.
    Finish,
    /// A switch between generations: [`switch`](super::switch) decides.
    Switch,
    /// A rename: [`rename`](super::rename) decides.
    Rename,
}

/// What is observed of a container that has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Observed {
    /// What was begun.
    pub(crate) step: Begun,
    /// The phase in which it was killed.
    pub(crate) phase: Phase,
    /// Whether an intent is recorded.
    pub(crate) recorded: bool,
    /// Whether the create made the state directory.
    pub(crate) own_state: bool,
}

impl Observed {
    fn making(&self) -> bool {
        self.step == Begun::Creating
    }

    /// A container that the create or a boot has started may hold data.
    fn may_hold_data(&self) -> bool {
        matches!(self.phase, Phase::Activating | Phase::Started) || self.recorded
    }

    fn unused(&self) -> bool {
        self.making() && !self.may_hold_data()
    }

    /// Whether it has an intent, and is neither complete nor a copy that lacked only that.
    fn half_made(&self) -> bool {
        self.making() && self.recorded && !matches!(self.phase, Phase::Started | Phase::Copied)
    }
}

const TAKE_ALL: Settlement = Settlement::TakeAway { state: true };
const LEAVE_STATE: Settlement = Settlement::TakeAway { state: false };

/// Decides how to settle a record.
pub(crate) fn settlement(seen: Observed) -> Settlement {
    match seen.step {
        Begun::Updating => Settlement::Switch,
        Begun::Renaming => Settlement::Rename,
        // Of a record that no row has, nothing that may hold data would be deleted.
        Begun::Creating | Begun::Removing => look_up(MADE, &seen).unwrap_or(LEAVE_STATE),
    }
}

/// Creates, imports, clones and removals.
pub(crate) const MADE: &[Row<Observed, Settlement>] = &[
    Row {
        killed: "create, before the intent",
        state: "the record, parts of the profile",
        next: "deletes all of it",
        cases: &[
            Case { when: |seen| seen.unused() && seen.own_state, settled: TAKE_ALL },
            Case { when: |seen| seen.unused() && !seen.own_state, settled: LEAVE_STATE },
        ],
    },
    Row {
        killed: "create, after the intent and before the end of the start",
        state: "the same, the units, and the container, running or failed, perhaps started by a boot",
        next: "deletes it, but not the state directory, which may hold data",
        cases: &[
            Case { when: Observed::half_made, settled: LEAVE_STATE },
            Case {
                when: |seen| seen.making() && seen.phase == Phase::Activating && !seen.recorded,
                settled: LEAVE_STATE,
            },
        ],
    },
    Row {
        killed: "create, after the start",
        state: "everything",
        next: "keeps it and deletes the record; if the intent is gone since, deletes the rest, but not the state directory",
        cases: &[
            Case {
                when: |seen| seen.making() && seen.phase == Phase::Started && seen.recorded,
                settled: Settlement::Keep { load: false },
            },
            // Another command took the change back, but was killed or failed before it was done.
            Case {
                when: |seen| seen.making() && seen.phase == Phase::Started && !seen.recorded,
                settled: LEAVE_STATE,
            },
        ],
    },
    Row {
        killed: "import from another program, anywhere before its end",
        state: "the record, and some of: moved files and state, or a copy of the state, parts of the profile, the intent, \
                the units",
        next: "stops the container if it runs as ours, moves everything back, and deletes the rest; a copy of the state \
               that may have been used stays; starts the other program's container if that ran",
        // It is a create whose record names what was moved; that is moved back, whatever becomes of a state that was made.
        cases: &[
            Case { when: |seen| seen.unused() && seen.own_state, settled: TAKE_ALL },
            Case { when: |seen| seen.unused() && !seen.own_state, settled: LEAVE_STATE },
            Case { when: Observed::half_made, settled: LEAVE_STATE },
        ],
    },
    Row {
        killed: "import from another program, after its end",
        state: "everything, and the note for `--undo`",
        next: "keeps it and deletes the record",
        cases: &[Case {
            when: |seen| seen.making() && seen.phase == Phase::Started && seen.recorded,
            settled: Settlement::Keep { load: false },
        }],
    },
    Row {
        killed: "import from another program undone, anywhere after its record",
        state: "parts are gone or moved back",
        next: "removes the rest, and moves back the rest",
        cases: &[Case { when: |seen| seen.step == Begun::Removing, settled: Settlement::Finish }],
    },
    Row {
        killed: "clone or import of an archive, before the intent",
        state: "the record, parts of the state and the profile",
        next: "deletes all of it",
        cases: &[Case { when: |seen| seen.unused() && seen.own_state, settled: TAKE_ALL }],
    },
    Row {
        killed: "clone or import of an archive, after the intent",
        state: "everything",
        next: "keeps it, loads its units and deletes the record",
        // Its intent was the last that a copy lacked, and may not be loaded yet.
        cases: &[Case {
            when: |seen| seen.making() && seen.phase == Phase::Copied && seen.recorded,
            settled: Settlement::Keep { load: true },
        }],
    },
    Row {
        killed: "remove, anywhere after its record",
        state: "parts are gone",
        next: "removes the rest",
        cases: &[Case { when: |seen| seen.step == Begun::Removing, settled: Settlement::Finish }],
    },
];
