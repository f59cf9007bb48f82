//! Decides how a killed command is settled, from its record and what is observed. Pure; the tests are the rows of
//! docs/decisions/interrupted.md.

use crate::host::record::{Begun, Phase};

/// How to settle a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Only the running system can tell; the record stays.
    NeedsSystem,
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
    /// A switch between generations: [`switch`] decides.
    Switch,
    /// A rename: [`rename`] decides.
    Rename,
}

/// What is observed of a container whose create, remove or switch was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Whether systemd can be asked.
    pub(crate) live: bool,
    /// Whether an intent is recorded.
    pub(crate) recorded: bool,
    /// Whether the create made the state directory.
    pub(crate) own_state: bool,
}

/// Decides how to settle a record.
pub(crate) fn settlement(step: Begun, phase: Phase, observed: Observed) -> Settlement {
    match (step, phase) {
        (Begun::Updating, _) if !observed.live => Settlement::NeedsSystem,
        (Begun::Updating, _) => Settlement::Switch,
        (Begun::Creating, Phase::Started) if observed.recorded => Settlement::Keep { load: false },
        // Its intent was the last that a copy lacked, and may not be loaded yet.
        (Begun::Creating, Phase::Copied) if observed.recorded => Settlement::Keep { load: true },
        // A container that the create or a boot has started may hold data.
        (Begun::Creating, phase) => Settlement::TakeAway {
            state: observed.own_state
                && !matches!(phase, Phase::Activating | Phase::Started)
                && !observed.recorded,
        },
        (Begun::Removing, _) => Settlement::Finish,
        (Begun::Renaming, _) => Settlement::Rename,
    }
}

/// What is observed of a container whose switch was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SwitchObserved {
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

/// How to settle a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchSettlement {
    /// Only the link of the build exists; it is removed.
    DropBuild,
    /// The new generation runs; it is kept.
    Accept,
    /// The new generation stays, whether or not it runs, since going back would give away what it takes.
    Keep {
        /// Whether the container is restarted with it.
        restart: bool,
    },
    /// The edited intent stays, and the container as it is.
    KeepEdit,
    /// The old generation is recorded again.
    Restore {
        /// Whether the container is restarted with it.
        restart: bool,
    },
}

/// Decides how to settle a switch.
pub(crate) fn switch(seen: SwitchObserved) -> SwitchSettlement {
    if seen.phase == Phase::Building {
        return SwitchSettlement::DropBuild;
    }
    if !seen.recorded {
        return SwitchSettlement::Restore { restart: false };
    }
    if seen.edited {
        return SwitchSettlement::KeepEdit;
    }
    let runs_new = seen.new_recorded && seen.active && seen.runs_recorded;
    // A killed reload may have switched only some units inside; only its phase shows whether it completed.
    let whole = match seen.phase {
        Phase::Passed => true,
        Phase::Activating => seen.started_as_recorded && !seen.reload,
        _ => seen.started_as_recorded,
    };
    if runs_new && whole {
        return SwitchSettlement::Accept;
    }
    if seen.only_takes_away && seen.new_recorded && matches!(seen.phase, Phase::Activating | Phase::Passed) {
        return SwitchSettlement::Keep {
            restart: seen.ran && !(seen.active && seen.started_as_recorded && !seen.reload),
        };
    }
    // A container that was running before runs again, even if the command was killed between stop and start or while
    // reverting.
    let restart = match seen.phase {
        Phase::Activating | Phase::Passed => true,
        Phase::Returning => seen.new_recorded || !seen.active || !seen.started_as_recorded,
        _ => seen.new_recorded && seen.started_as_recorded && seen.runs_recorded,
    };
    SwitchSettlement::Restore { restart: seen.ran && restart }
}

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
    match seen {
        RenameObserved { old: IntentSeen::Foreign, moved: false, new: IntentSeen::Absent, .. } => {
            RenameSettlement::KeepEdit
        }
        RenameObserved { new: IntentSeen::Foreign, .. } | RenameObserved { returning: true, .. } => {
            RenameSettlement::TakeBack
        }
        _ => RenameSettlement::Complete,
    }
}

#[cfg(test)]
mod tests;
