//! The rows of the tables by their names, with what is seen spelled out.

use super::*;
use crate::host::record::{Begun, Phase};

fn create(phase: Phase, recorded: bool) -> Settlement {
    settlement(Observed { step: Begun::Creating, phase, recorded, own_state: true })
}

/// The state directory was there before.
fn create_beside_state(phase: Phase, recorded: bool) -> Settlement {
    settlement(Observed { step: Begun::Creating, phase, recorded, own_state: false })
}

fn remove(recorded: bool) -> Settlement {
    settlement(Observed { step: Begun::Removing, phase: Phase::Building, recorded, own_state: false })
}

#[test]
fn create_before_the_intent() {
    assert_eq!(create(Phase::Building, false), Settlement::TakeAway { state: true });
    let theirs = create_beside_state(Phase::Building, false);
    assert_eq!(theirs, Settlement::TakeAway { state: false }, "state of somebody else");
}

#[test]
fn create_after_the_intent_and_before_the_end_of_the_start() {
    assert_eq!(create(Phase::Building, true), Settlement::TakeAway { state: false });
    assert_eq!(create(Phase::Activating, true), Settlement::TakeAway { state: false });
    assert_eq!(create(Phase::Activating, false), Settlement::TakeAway { state: false });
}

#[test]
fn create_after_the_start() {
    assert_eq!(create(Phase::Started, true), Settlement::Keep { load: false });
    // Another command took the change back, but was killed or failed before it was done.
    assert_eq!(create(Phase::Started, false), Settlement::TakeAway { state: false });
}

#[test]
fn import_from_another_program_anywhere_before_its_end() {
    // It is a create whose record names what was moved; `TakeAway` moves it back, whatever becomes of a state that was made.
    for (phase, recorded) in [(Phase::Building, false), (Phase::Building, true), (Phase::Activating, true)] {
        let settled = create_beside_state(phase, recorded);
        assert_eq!(settled, Settlement::TakeAway { state: false }, "{phase:?}");
    }
    // A copy of the state is its own, until it may have been used.
    assert_eq!(create(Phase::Building, false), Settlement::TakeAway { state: true });
    assert_eq!(create(Phase::Activating, true), Settlement::TakeAway { state: false });
}

#[test]
fn import_from_another_program_after_its_end() {
    assert_eq!(create(Phase::Started, true), Settlement::Keep { load: false });
}

#[test]
fn import_from_another_program_undone_anywhere_after_its_record() {
    for recorded in [true, false] {
        assert_eq!(remove(recorded), Settlement::Finish);
    }
}

#[test]
fn clone_or_import_of_an_archive_before_the_intent() {
    for phase in [Phase::Building, Phase::Copied] {
        assert_eq!(create(phase, false), Settlement::TakeAway { state: true }, "{phase:?}");
    }
}

#[test]
fn clone_or_import_of_an_archive_after_the_intent() {
    assert_eq!(create(Phase::Copied, true), Settlement::Keep { load: true });
    assert_eq!(create(Phase::Started, true), Settlement::Keep { load: false });
}

#[test]
fn remove_anywhere_after_its_record() {
    for recorded in [true, false] {
        assert_eq!(remove(recorded), Settlement::Finish);
    }
}

/// The container runs the old generation, the new one is recorded.
const RECORDED: SwitchObserved = SwitchObserved {
    live: true,
    phase: Phase::Recording,
    reload: false,
    ran: true,
    recorded: true,
    new_recorded: true,
    edited: false,
    active: true,
    started_as_recorded: false,
    runs_recorded: false,
    only_takes_away: false,
};
const RUNS_NEW: SwitchObserved =
    SwitchObserved { started_as_recorded: true, runs_recorded: true, ..RECORDED };
const RESTORE: SwitchSettlement = SwitchSettlement::Restore { restart: false };
const RESTART: SwitchSettlement = SwitchSettlement::Restore { restart: true };

#[test]
fn update_or_rollback_while_building() {
    let seen = SwitchObserved { phase: Phase::Building, new_recorded: false, ..RECORDED };
    assert_eq!(switch(seen), SwitchSettlement::DropBuild);
}

#[test]
fn after_the_profile_moved_before_the_intent() {
    // The old intent is recorded and runs.
    let seen = SwitchObserved { new_recorded: false, ..RUNS_NEW };
    assert_eq!(switch(seen), RESTORE);
}

#[test]
fn after_the_intent_before_the_container_was_touched() {
    assert_eq!(switch(RECORDED), RESTORE);
    let stopped = SwitchObserved { active: false, ran: false, ..RECORDED };
    assert_eq!(switch(stopped), RESTORE);
}

#[test]
fn after_the_intent_and_the_host_has_rebooted_since() {
    assert_eq!(switch(RUNS_NEW), SwitchSettlement::Accept);
    // The container failed to start.
    assert_eq!(switch(SwitchObserved { active: false, ..RUNS_NEW }), RESTART);
}

#[test]
fn while_the_container_reloads() {
    let seen = SwitchObserved { phase: Phase::Activating, reload: true, ..RECORDED };
    assert_eq!(switch(seen), RESTART);
    // Back to the generation that the container was started with: its settings prove nothing.
    let seen = SwitchObserved { phase: Phase::Activating, reload: true, ..RUNS_NEW };
    assert_eq!(switch(seen), RESTART, "half reloaded");
    let seen = SwitchObserved { started_as_recorded: true, ..RECORDED };
    assert_eq!(switch(seen), RESTORE, "not reloaded at all");
}

#[test]
fn while_it_restarts_or_is_watched() {
    let watched = SwitchObserved { phase: Phase::Activating, ..RUNS_NEW };
    assert_eq!(switch(watched), SwitchSettlement::Accept);
    let stopped = SwitchObserved { active: false, ..watched };
    assert_eq!(switch(stopped), RESTART);
    let old = SwitchObserved { started_as_recorded: false, runs_recorded: false, ..watched };
    assert_eq!(switch(old), RESTART, "killed before the stop");
    assert_eq!(switch(SwitchObserved { ran: false, ..stopped }), RESTORE, "it did not run before");
}

#[test]
fn at_either_of_these_points_if_the_change_only_takes_reach_away() {
    let seen = SwitchObserved { phase: Phase::Activating, only_takes_away: true, ..RECORDED };
    assert_eq!(switch(seen), SwitchSettlement::Keep { restart: true }, "killed before the stop");
    let down = SwitchObserved { active: false, ..seen };
    assert_eq!(switch(down), SwitchSettlement::Keep { restart: true }, "it does not start");
    assert_eq!(switch(SwitchObserved { ran: false, ..down }), SwitchSettlement::Keep { restart: false });
    let half = SwitchObserved { reload: true, started_as_recorded: true, ..seen };
    assert_eq!(switch(half), SwitchSettlement::Keep { restart: true }, "half reloaded");
    let runs = SwitchObserved { phase: Phase::Activating, only_takes_away: true, ..RUNS_NEW };
    assert_eq!(switch(runs), SwitchSettlement::Accept);
    // Nothing inside was asked yet.
    let early = SwitchObserved { only_takes_away: true, ..RECORDED };
    assert_eq!(switch(early), RESTORE);
    let lost = SwitchObserved { new_recorded: false, ..seen };
    assert_eq!(switch(lost), RESTART, "the old one is recorded");
}

#[test]
fn after_it_has_passed_the_gate() {
    let passed = SwitchObserved { phase: Phase::Passed, reload: true, ..RECORDED };
    assert_eq!(switch(SwitchObserved { runs_recorded: true, ..passed }), SwitchSettlement::Accept);
    assert_eq!(switch(passed), RESTART, "something else runs since");
}

#[test]
fn while_it_is_taken_back_by_a_reload() {
    // The old intent is recorded again, and either system may run, or parts of both.
    let seen = SwitchObserved {
        phase: Phase::Activating,
        reload: true,
        new_recorded: false,
        started_as_recorded: true,
        ..RECORDED
    };
    assert_eq!(switch(seen), RESTART);
    assert_eq!(switch(SwitchObserved { runs_recorded: true, ..seen }), RESTART);
}

#[test]
fn at_any_of_these_points_and_the_intent_was_edited_since() {
    let seen = SwitchObserved { edited: true, new_recorded: false, ..RECORDED };
    assert_eq!(switch(seen), SwitchSettlement::KeepEdit);
}

#[test]
fn at_any_of_these_points_and_the_intent_is_gone_since() {
    for phase in [Phase::Recording, Phase::Activating, Phase::Passed, Phase::Returning] {
        let seen = SwitchObserved { phase, recorded: false, new_recorded: false, ..RUNS_NEW };
        assert_eq!(switch(seen), RESTORE, "{phase:?}");
    }
}

#[test]
fn at_any_of_these_points_and_the_next_command_is_offline() {
    for phase in [Phase::Building, Phase::Recording, Phase::Activating, Phase::Passed, Phase::Returning] {
        let seen = SwitchObserved { live: false, phase, active: false, ..RECORDED };
        assert_eq!(switch(seen), SwitchSettlement::NeedsSystem, "{phase:?}");
    }
}

#[test]
fn while_it_is_taken_back_by_a_restart_before_the_container_was_stopped() {
    // The old intent is recorded again, the new system runs.
    for phase in [Phase::Activating, Phase::Passed] {
        let seen = SwitchObserved { phase, new_recorded: false, ..RECORDED };
        assert_eq!(switch(seen), RESTART, "{phase:?}");
    }
}

#[test]
fn while_it_is_taken_back_after_that() {
    let seen = SwitchObserved { phase: Phase::Returning, new_recorded: false, ..RECORDED };
    assert_eq!(switch(SwitchObserved { active: false, ..seen }), RESTART);
    assert_eq!(switch(seen), RESTART, "a settlement was killed before it stopped the container");
    let back = SwitchObserved { started_as_recorded: true, runs_recorded: true, ..seen };
    assert_eq!(switch(back), RESTORE, "the old one was started already");
}

#[test]
fn while_it_is_taken_back_and_the_new_intent_was_recorded_again_since() {
    let seen = SwitchObserved { phase: Phase::Returning, ..RUNS_NEW };
    assert_eq!(switch(seen), SwitchSettlement::Accept);
    assert_eq!(switch(SwitchObserved { active: false, ..seen }), RESTART);
}

const RENAME: RenameObserved =
    RenameObserved { returning: false, moved: false, old: IntentSeen::Own, new: IntentSeen::Absent };

#[test]
fn rename_anywhere_after_its_record() {
    let seen = Observed { step: Begun::Renaming, phase: Phase::Building, recorded: true, own_state: false };
    let settled = settlement(seen);
    assert_eq!(settled, Settlement::Rename);
    assert_eq!(rename(RENAME), RenameSettlement::Complete);
    let away = RenameObserved { old: IntentSeen::Absent, ..RENAME };
    for moved in [false, true] {
        for new in [IntentSeen::Absent, IntentSeen::Own] {
            assert_eq!(rename(RenameObserved { moved, new, ..away }), RenameSettlement::Complete);
        }
    }
    let rewritten = RenameObserved { old: IntentSeen::Foreign, moved: true, ..RENAME };
    assert_eq!(rename(rewritten), RenameSettlement::Complete, "the old name was used again");
}

#[test]
fn rename_while_it_is_taken_back() {
    for new in [IntentSeen::Absent, IntentSeen::Own, IntentSeen::Foreign] {
        for old in [IntentSeen::Absent, IntentSeen::Own] {
            let seen = RenameObserved { returning: true, moved: true, old, new };
            assert_eq!(rename(seen), RenameSettlement::TakeBack);
        }
    }
}

#[test]
fn rename_and_another_intent_has_the_new_name_since() {
    let seen = RenameObserved { old: IntentSeen::Absent, new: IntentSeen::Foreign, moved: true, ..RENAME };
    assert_eq!(rename(seen), RenameSettlement::TakeBack);
}

#[test]
fn rename_before_anything_was_moved_and_the_intent_was_edited_since() {
    let seen = RenameObserved { old: IntentSeen::Foreign, ..RENAME };
    assert_eq!(rename(seen), RenameSettlement::KeepEdit);
    assert_eq!(rename(RenameObserved { returning: true, ..seen }), RenameSettlement::KeepEdit);
}
