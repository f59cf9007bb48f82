//! Everything that can be observed, against the tables and against what holds in all of them.

use super::making::MADE;
use super::renaming::RENAMED;
use super::row::{Case, Row};
use super::switching::SWITCHED;
use super::*;
use crate::host::record::{Begun, Phase};

const PHASES: [Phase; 7] = [
    Phase::Building,
    Phase::Recording,
    Phase::Activating,
    Phase::Passed,
    Phase::Returning,
    Phase::Copied,
    Phase::Started,
];
const INTENTS: [IntentSeen; 3] = [IntentSeen::Absent, IntentSeen::Own, IntentSeen::Foreign];

fn bit(bits: u32, number: u32) -> bool {
    bits & (1 << number) != 0
}

fn made() -> impl Iterator<Item = Observed> {
    let steps = [Begun::Creating, Begun::Removing];
    let all = steps.into_iter().flat_map(|step| PHASES.map(|phase| (step, phase)));
    all.flat_map(|(step, phase)| {
        (0..4).map(move |bits| Observed { step, phase, recorded: bit(bits, 0), own_state: bit(bits, 1) })
    })
}

fn switched() -> impl Iterator<Item = SwitchObserved> {
    PHASES.into_iter().flat_map(|phase| {
        (0..1024).map(move |bits| SwitchObserved {
            live: bit(bits, 0),
            phase,
            reload: bit(bits, 1),
            ran: bit(bits, 2),
            recorded: bit(bits, 3),
            new_recorded: bit(bits, 4),
            edited: !bit(bits, 4) && bit(bits, 9),
            active: bit(bits, 5),
            started_as_recorded: bit(bits, 6),
            runs_recorded: bit(bits, 7),
            only_takes_away: bit(bits, 8),
        })
    })
}

fn renamed() -> impl Iterator<Item = RenameObserved> {
    let intents = INTENTS.into_iter().flat_map(|old| INTENTS.map(|new| (old, new)));
    intents.flat_map(|(old, new)| {
        (0..4).map(move |bits| RenameObserved { returning: bit(bits, 0), moved: bit(bits, 1), old, new })
    })
}

/// Returns the faults of a table: what no case settles, what two settle differently, and cases that nothing is.
fn faults<Seen, Settled>(rows: &[Row<Seen, Settled>], all: impl Iterator<Item = Seen>) -> Vec<String>
where
    Seen: std::fmt::Debug,
    Settled: PartialEq + std::fmt::Debug,
{
    let cases: Vec<(&str, &Case<Seen, Settled>)> =
        rows.iter().flat_map(|row| row.cases.iter().map(|case| (row.killed, case))).collect();
    let mut met = vec![false; cases.len()];
    let mut faults = Vec::new();
    for seen in all {
        let apply: Vec<usize> = (0..cases.len()).filter(|case| (cases[*case].1.when)(&seen)).collect();
        let Some(first) = apply.first() else {
            faults.push(format!("no case for {seen:?}"));
            continue;
        };
        let other = apply.iter().find(|case| cases[**case].1.settled != cases[*first].1.settled);
        if let Some(other) = other {
            faults.push(format!("'{}' and '{}' differ for {seen:?}", cases[*first].0, cases[*other].0));
        }
        apply.into_iter().for_each(|case| met[case] = true);
    }
    let unmet = cases.iter().zip(met).filter(|(_, met)| !met);
    faults.extend(unmet.map(|((row, case), _)| format!("'{row}': nothing is settled by {:?}", case.settled)));
    faults
}

#[test]
fn tables_settle_everything_once() {
    assert_eq!(faults(MADE, made()), [""; 0]);
    assert_eq!(faults(SWITCHED, switched()), [""; 0]);
    assert_eq!(faults(RENAMED, renamed()), [""; 0]);
}

/// A switch has one row for each case; only creates and imports, and renames that meet two faults, have several.
#[test]
fn switches_have_one_row() {
    for seen in switched() {
        let rows: Vec<&str> = SWITCHED
            .iter()
            .filter(|row| row.cases.iter().any(|case| (case.when)(&seen)))
            .map(|row| row.killed)
            .filter(|killed| !killed.contains("offline"))
            .collect();
        assert_eq!(rows.len(), usize::from(seen.live), "{rows:?} {seen:?}");
    }
}

#[test]
fn state_is_deleted_only_if_it_is_our_own_and_unused() {
    for seen in made().filter(|seen| settlement(*seen) == Settlement::TakeAway { state: true }) {
        assert!(seen.own_state && !seen.recorded, "{seen:?}");
        assert!(!matches!(seen.phase, Phase::Activating | Phase::Started), "{seen:?}");
        assert_eq!(seen.step, Begun::Creating);
    }
}

#[test]
fn nothing_is_started_that_did_not_run() {
    for seen in switched().filter(|seen| !seen.ran) {
        let starts = [SwitchSettlement::Restore { restart: true }, SwitchSettlement::Keep { restart: true }];
        assert!(!starts.contains(&switch(seen)), "{seen:?}");
    }
}

#[test]
fn what_ran_runs_again() {
    let killed = |phase| matches!(phase, Phase::Activating | Phase::Passed | Phase::Returning);
    let down = switched().filter(|seen| seen.ran && !seen.active && killed(seen.phase));
    for seen in down.filter(|seen| seen.live && seen.recorded && !seen.edited) {
        let starts = [SwitchSettlement::Restore { restart: true }, SwitchSettlement::Keep { restart: true }];
        assert!(starts.contains(&switch(seen)), "{seen:?}");
    }
}

#[test]
fn a_system_is_kept_only_if_it_runs_or_takes_away() {
    for seen in switched() {
        match switch(seen) {
            SwitchSettlement::Accept => {
                assert!(seen.new_recorded && seen.active && seen.runs_recorded, "{seen:?}");
            }
            SwitchSettlement::Keep { .. } => assert!(seen.new_recorded && seen.only_takes_away, "{seen:?}"),
            SwitchSettlement::KeepEdit => assert!(seen.edited, "{seen:?}"),
            SwitchSettlement::Restore { .. } => assert!(!(seen.recorded && seen.edited), "{seen:?}"),
            SwitchSettlement::DropBuild => assert_eq!(seen.phase, Phase::Building),
            SwitchSettlement::NeedsSystem => assert!(!seen.live),
        }
    }
}

#[test]
fn an_intent_of_somebody_else_is_never_completed_over() {
    for seen in renamed().filter(|seen| seen.new == IntentSeen::Foreign) {
        assert_eq!(rename(seen), RenameSettlement::TakeBack, "{seen:?}");
    }
}
