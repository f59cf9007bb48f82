//! Settles a container that was being renamed.

use super::row::{Case, Row, look_up};

/// What is observed of a container whose rename was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RenameObserved {
    /// Whether it was being taken back.
    pub(crate) returning: bool,
    /// Whether its state or its profile has the new name.
    pub(crate) moved: bool,
    /// The intent with the old name.
    pub(crate) old: IntentSeen,
    /// The intent with the new name.
    pub(crate) new: IntentSeen,
}

impl RenameObserved {
    /// Whether nothing was moved and the intent was edited.
    fn only_edited(&self) -> bool {
        self.old == IntentSeen::Foreign && !self.moved && self.new == IntentSeen::Absent
    }

    fn name_taken(&self) -> bool {
        self.new == IntentSeen::Foreign
    }
}

/// An intent, compared with the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntentSeen {
    /// There is none.
    Absent,
    /// It is the recorded one.
    Own,
    /// Somebody has edited or written it since.
    Foreign,
}

/// How to settle a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenameSettlement {
    /// The rest gets the new name.
    Complete,
    /// The rest gets the old name again.
    TakeBack,
    /// Everything has the old name and stays as it is.
    KeepEdit,
}

/// Decides how to settle a rename. An intent of somebody else stays in any case.
pub(crate) fn rename(seen: RenameObserved) -> RenameSettlement {
    look_up(RENAMED, &seen).unwrap_or(RenameSettlement::TakeBack)
}

/// Renames.
pub(crate) const RENAMED: &[Row<RenameObserved, RenameSettlement>] = &[
    Row {
        killed: "rename, anywhere after its record",
        state: "the container is stopped, parts have the new name, and for a moment there is no intent, so that no boot \
                starts half of it",
        next: "gives the rest the new name, and starts the container if it was stopped for that",
        cases: &[Case {
            when: |seen| !seen.returning && !seen.name_taken() && !seen.only_edited(),
            settled: RenameSettlement::Complete,
        }],
    },
    Row {
        killed: "rename, while it is taken back",
        state: "parts have the old name again",
        next: "gives the rest the old name, and starts the container if it was stopped",
        cases: &[Case {
            when: |seen| seen.returning && !seen.only_edited(),
            settled: RenameSettlement::TakeBack,
        }],
    },
    Row {
        killed: "rename, and another intent has the new name since",
        state: "parts have the new name",
        next: "gives the old name back; that intent stays",
        cases: &[Case { when: RenameObserved::name_taken, settled: RenameSettlement::TakeBack }],
    },
    Row {
        killed: "rename, before anything was moved, and the intent was edited since",
        state: "the edited intent",
        next: "keeps the edit and the old name",
        cases: &[Case { when: RenameObserved::only_edited, settled: RenameSettlement::KeepEdit }],
    },
];
