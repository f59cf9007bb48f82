//! Settles a container that was being switched to another generation.

use super::row::{Case, Row, look_up};
use crate::host::record::Phase;

/// What is observed of a container whose switch was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SwitchObserved {
    /// Whether systemd can be asked.
    pub(crate) live: bool,
    /// The phase in which the switch was killed.
    pub(crate) phase: Phase,
    /// Whether the container was being reloaded in this boot, which keeps the settings of its last start.
    pub(crate) reload: bool,
    /// Whether the container was running before the switch.
    pub(crate) ran: bool,
    /// Whether an intent is recorded at all.
    pub(crate) recorded: bool,
    /// Whether the recorded intent is the new one.
    pub(crate) new_recorded: bool,
    /// Whether that is neither the new nor the old one: somebody has edited it since.
    pub(crate) edited: bool,
    /// Whether the container is active.
    pub(crate) active: bool,
    /// Whether it was started with the recorded settings.
    pub(crate) started_as_recorded: bool,
    /// Whether the system inside is the recorded one.
    pub(crate) runs_recorded: bool,
    /// Whether the switch only takes reach away.
    pub(crate) only_takes_away: bool,
}

impl SwitchObserved {
    /// Whether more was done than to build.
    fn built(&self) -> bool {
        self.live && self.phase != Phase::Building
    }

    /// Whether the recorded intent is the old or the new one.
    fn ours(&self) -> bool {
        self.built() && self.recorded && !self.edited
    }

    /// Whether the container was not touched yet.
    fn untouched(&self) -> bool {
        self.ours() && !matches!(self.phase, Phase::Activating | Phase::Passed | Phase::Returning)
    }

    fn activating(&self) -> bool {
        self.ours() && self.phase == Phase::Activating
    }

    fn passed(&self) -> bool {
        self.ours() && self.phase == Phase::Passed
    }

    fn returning(&self) -> bool {
        self.ours() && self.phase == Phase::Returning
    }

    /// Whether the new system runs, if it was not a reload that was killed: that may have switched only some units.
    fn runs_new(&self) -> bool {
        self.new_recorded && self.active && self.runs_recorded
    }

    /// Whether the container was started as the new intent says, and the new system runs.
    fn whole(&self) -> bool {
        self.started_as_recorded && self.runs_new()
    }

    /// Whether the new intent stays, whether or not it runs, since the old one would give away what it takes.
    fn takes_away(&self) -> bool {
        let accepted = if self.passed() { self.runs_new() } else { !self.reload && self.whole() };
        (self.activating() || self.passed()) && self.new_recorded && self.only_takes_away && !accepted
    }

    fn started_anew(&self) -> bool {
        self.active && self.started_as_recorded && !self.reload
    }

    /// Whether the old intent is recorded again after the container was touched.
    fn taken_back(&self) -> bool {
        (self.activating() || self.passed()) && !self.new_recorded
    }
}

/// How to settle a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchSettlement {
    /// Only the running system can tell; the record stays.
    NeedsSystem,
    /// Only the link of the build exists; it is removed.
    DropBuild,
    /// The new generation runs; it is kept.
    Accept,
    /// The new generation stays, whether or not it runs, since going back would give away what it takes.
    Keep {
        /// Whether the container is restarted with it, if it ran before.
        restart: bool,
    },
    /// The edited intent stays, and the container as it is.
    KeepEdit,
    /// The old generation is recorded again.
    Restore {
        /// Whether the container is restarted with it, if it ran before.
        restart: bool,
    },
}

const RESTORE: SwitchSettlement = SwitchSettlement::Restore { restart: false };
const RESTART: SwitchSettlement = SwitchSettlement::Restore { restart: true };

/// Decides how to settle a switch. A container that was running before runs again, even if the command was killed between
/// stop and start or while reverting; one that was not is not started.
pub(crate) fn switch(seen: SwitchObserved) -> SwitchSettlement {
    match look_up(SWITCHED, &seen).unwrap_or(RESTORE) {
        SwitchSettlement::Keep { restart } => SwitchSettlement::Keep { restart: restart && seen.ran },
        SwitchSettlement::Restore { restart } => SwitchSettlement::Restore { restart: restart && seen.ran },
        other => other,
    }
}

/// Updates and rollbacks.
pub(crate) const SWITCHED: &[Row<SwitchObserved, SwitchSettlement>] = &[
    Row {
        killed: "update or rollback, while building",
        state: "the record, perhaps the link `pending`",
        next: "deletes both; the container was not touched",
        cases: &[Case {
            when: |seen| seen.live && seen.phase == Phase::Building,
            settled: SwitchSettlement::DropBuild,
        }],
    },
    Row {
        killed: "… after the profile moved, before the intent",
        state: "the profile is ahead of the intent",
        next: "sets the profile back to the intent's generation and deletes the new generation",
        cases: &[Case { when: |seen| seen.untouched() && !seen.new_recorded, settled: RESTORE }],
    },
    Row {
        killed: "… after the intent, before the container was touched",
        state: "new intent, the old system runs",
        next: "restores the old intent, units and profile; restarts nothing",
        cases: &[Case {
            when: |seen| {
                seen.untouched() && seen.new_recorded && !(seen.started_as_recorded && seen.runs_recorded)
            },
            settled: RESTORE,
        }],
    },
    Row {
        killed: "… after the intent, and the host has rebooted since",
        state: "the boot started the new generation",
        next: "if the container is active with it, keeps it; otherwise restores everything and starts the old one",
        cases: &[
            Case { when: |seen| seen.untouched() && seen.whole(), settled: SwitchSettlement::Accept },
            Case {
                when: |seen| {
                    let started = seen.new_recorded && seen.started_as_recorded && seen.runs_recorded;
                    seen.untouched() && started && !seen.active
                },
                settled: RESTART,
            },
        ],
    },
    Row {
        killed: "… while the container reloads",
        state: "new intent, part of the new system runs",
        next: "restores everything and restarts the container with the old one",
        cases: &[Case {
            when: |seen| seen.activating() && seen.new_recorded && seen.reload && !seen.only_takes_away,
            settled: RESTART,
        }],
    },
    Row {
        killed: "… while it restarts or is watched",
        state: "new intent, the new system runs or failed",
        next: "if the container is active with it, keeps it; otherwise restores everything and starts the old one",
        cases: &[
            Case {
                when: |seen| seen.activating() && !seen.reload && seen.whole(),
                settled: SwitchSettlement::Accept,
            },
            Case {
                when: |seen| {
                    let new = seen.activating() && seen.new_recorded && !seen.only_takes_away;
                    new && !seen.reload && !seen.whole()
                },
                settled: RESTART,
            },
        ],
    },
    Row {
        killed: "… at either of these points, if the change only takes reach away ([reach](../reach.md))",
        state: "new intent, the old or the new system runs, or neither",
        next: "keeps it, and restarts the container with it unless it runs",
        cases: &[
            Case {
                when: |seen| seen.takes_away() && !seen.started_anew(),
                settled: SwitchSettlement::Keep { restart: true },
            },
            Case {
                when: |seen| seen.takes_away() && seen.started_anew(),
                settled: SwitchSettlement::Keep { restart: false },
            },
        ],
    },
    Row {
        killed: "… after it has passed the gate",
        state: "new intent, the new system runs",
        next: "keeps it, if that is still so; otherwise restores everything and starts the old one",
        cases: &[
            Case { when: |seen| seen.passed() && seen.runs_new(), settled: SwitchSettlement::Accept },
            Case {
                when: |seen| seen.passed() && seen.new_recorded && !seen.runs_new() && !seen.only_takes_away,
                settled: RESTART,
            },
        ],
    },
    Row {
        killed: "… at any of these points, and the intent was edited since",
        state: "neither the old nor the new intent",
        next: "keeps the edit and the container as they are, and says so",
        cases: &[Case {
            when: |seen| seen.built() && seen.recorded && seen.edited,
            settled: SwitchSettlement::KeepEdit,
        }],
    },
    Row {
        killed: "… at any of these points, and the intent is gone since",
        state: "no intent, and no units after the next daemon-reload",
        next: "restores the old intent, units and profile; restarts nothing",
        cases: &[Case { when: |seen| seen.built() && !seen.recorded, settled: RESTORE }],
    },
    Row {
        killed: "… at any of these points, and the next command is offline",
        state: "any of these",
        next: "refuses: only the running system can settle it",
        cases: &[Case { when: |seen| !seen.live, settled: SwitchSettlement::NeedsSystem }],
    },
    Row {
        killed: "… while it is taken back by a reload",
        state: "old intent, part of the new system runs",
        next: "restores units, ports and network, and restarts the container with the old one",
        cases: &[Case { when: |seen| seen.taken_back() && seen.reload, settled: RESTART }],
    },
    Row {
        killed: "… while it is taken back by a restart, before the container was stopped",
        state: "old intent, the new system runs",
        next: "restores units, ports and network, restarts the container with the old one, and starts what requires it",
        cases: &[Case { when: |seen| seen.taken_back() && !seen.reload, settled: RESTART }],
    },
    Row {
        killed: "… while it is taken back, after that",
        state: "old intent, nothing runs",
        next: "starts the old one and what requires it; if it does not start, reports that once and deletes the record",
        cases: &[
            Case {
                when: |seen| {
                    seen.returning() && !seen.new_recorded && !(seen.active && seen.started_as_recorded)
                },
                settled: RESTART,
            },
            Case {
                when: |seen| {
                    seen.returning() && !seen.new_recorded && seen.active && seen.started_as_recorded
                },
                settled: RESTORE,
            },
        ],
    },
    Row {
        killed: "… while it is taken back, and the new intent was recorded again since",
        state: "new intent, the old or the new system runs, or neither",
        next: "if the container is active with it, keeps it; otherwise restores everything and starts the old one",
        cases: &[
            Case { when: |seen| seen.returning() && seen.whole(), settled: SwitchSettlement::Accept },
            Case { when: |seen| seen.returning() && seen.new_recorded && !seen.whole(), settled: RESTART },
        ],
    },
];
