//! What updates of all containers remember and leave alone, on a fake host.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nixos_nspawn_units::intent::{Expect, Intent, Source, Strategy, parse};
use nixos_nspawn_units::value::StorePath;

use crate::change::gate::{Before, Gate, healthy};
use crate::change::next::MadeAhead;
use crate::change::plan::plan;
use crate::change::rollback::{RollbackOptions, go_back};
use crate::change::settle::settle_all;
use crate::change::switch_options::Activation;
use crate::change::tests::RESTART;
use crate::change::update::update;
use crate::change::update_options::UpdateOptions;
use crate::change::updated::{UpdateResult, Updated};
use crate::decision::reach::Consent;
use crate::host::profile_links;
use crate::host::record::{Begun, Phase, Record, RecordDetails};
use crate::host::update_memory::{Failure, FailureKind, Hold, UpdateMemory};
use crate::nix::build::Made;
use crate::nix::tool::Nix;
use crate::testing::{Played, ended, store_path, web};

pub(super) const FOLDER: &str = "/nix/var/nix/profiles/per-nspawn/web";

fn of_all(played: &Played, retry: bool) -> anyhow::Result<Updated> {
    let nix = Nix::find(&played.host)?;
    update(&played.host, &nix, &web(), &UpdateOptions { all: true, retry, ..RESTART }, None)
}

pub(super) fn memory(played: &Played) -> UpdateMemory {
    UpdateMemory::read(&played.host, &web(), Path::new(FOLDER)).unwrap()
}

pub(super) fn path(name: &str) -> StorePath {
    store_path(name).parse().unwrap()
}

/// Lets the container start with nothing but the system `one`. Returns whether the failure was known whenever it was
/// started with that; `None` if it was not.
fn fails_with_two(played: &Played) -> Rc<Cell<Option<bool>>> {
    let (intent, notes) = (played.intent(), played.profile().join("updates.json"));
    let remembered = Rc::new(Cell::new(None));
    let known = Rc::clone(&remembered);
    played.on_call(move |words, _| {
        let start = words[0].ends_with("systemctl") && words.iter().any(|word| word == "start");
        let toplevel = format!(r#""toplevel":"{}""#, store_path("two"));
        let text: String = fs::read_to_string(&intent).unwrap().split_whitespace().collect();
        if start && !text.contains(&toplevel) {
            let noted = fs::read_to_string(&notes).is_ok_and(|text| text.contains("-two"));
            known.set(Some(known.get().unwrap_or(true) && noted));
        }
        (start && text.contains(&toplevel)).then(|| ended(1, "", "Job failed."))
    });
    remembered
}

#[test]
fn what_failed_is_skipped_whatever_fails_later() {
    let played = Played::new();
    played.record();
    let remembered = fails_with_two(&played);
    assert!(of_all(&played, false).is_err());
    assert_eq!(remembered.get(), Some(true), "it is remembered before the way back");
    assert!(memory(&played).failed(&path("two")).is_some());
    // An error before anything is built.
    fs::rename(played.host.path(store_path("two")), played.host.path("/gone")).unwrap();
    assert!(of_all(&played, false).is_err());
    assert_eq!(memory(&played).failure.unwrap().output, None);
    fs::rename(played.host.path("/gone"), played.host.path(store_path("two"))).unwrap();
    let skipped = of_all(&played, false).unwrap();
    assert_eq!(skipped.result, UpdateResult::Skipped);
    assert_eq!(memory(&played).failure.unwrap().output, Some(path("two")), "the reason is told");

    // An update that is activated at the next start shows nothing.
    played.on_call(|_, _| None);
    let nix = Nix::find(&played.host).unwrap();
    let later = Activation { strategy: Some(Strategy::None), ..RESTART.activation };
    update(&played.host, &nix, &web(), &UpdateOptions { activation: later, ..RESTART }, None).unwrap();
    assert!(memory(&played).failure.is_some() && memory(&played).failed(&path("two")).is_some());
    let options =
        RollbackOptions { with_state: false, to: Some(1), activation: later, consent: Consent::Nothing };
    go_back(&played.host, &nix, &web(), &options).unwrap();

    assert_eq!(of_all(&played, true).unwrap().result, UpdateResult::Updated);
    let after = memory(&played);
    assert!(after.failure.is_none() && after.failed(&path("two")).is_none());
}

#[test]
fn what_was_rolled_back_from_is_skipped_until_it_is_wanted_again() {
    let played = Played::new();
    played.record();
    let back = |to| {
        let options = RollbackOptions {
            with_state: false,
            to,
            activation: RESTART.activation,
            consent: Consent::Nothing,
        };
        go_back(&played.host, &Nix::find(&played.host)?, &web(), &options)
    };
    assert_eq!(of_all(&played, false).unwrap().result, UpdateResult::Updated);
    // A rollback that fails leaves what is remembered as it was.
    let before = memory(&played);
    let intent = played.intent();
    played.on_call(move |words, _| {
        let start = words[0].ends_with("systemctl") && words.iter().any(|word| word == "start");
        let one = fs::read_to_string(&intent).unwrap().contains("\"generation\": 1");
        (start && one).then(|| ended(1, "", "Job failed."))
    });
    assert!(back(None).is_err());
    assert_eq!(memory(&played), before);

    played.on_call(|_, _| None);
    back(None).unwrap();
    assert!(memory(&played).failed(&path("two")).is_some());
    assert_eq!(of_all(&played, false).unwrap().result, UpdateResult::Skipped);
    back(Some(2)).unwrap();
    assert!(memory(&played).failed(&path("two")).is_none());
}

#[test]
fn a_killed_update_is_remembered_as_failed() {
    let played = Played::new();
    played.record();
    let old_intent = fs::read_to_string(played.intent()).unwrap();
    let new_intent = old_intent
        .replacen(&store_path("one"), &store_path("two"), 1)
        .replace(r#""generation":1"#, r#""generation":2"#);
    symlink(store_path("two"), played.profile().join("system-2-link")).unwrap();
    fs::write(played.intent(), &new_intent).unwrap();
    let details = RecordDetails {
        profile_directory: FOLDER.into(),
        phase: Phase::Activating,
        newest_generation: 1,
        ran: true,
        old_intent,
        new_intent,
        ..RecordDetails::default()
    };
    Record::begin(&played.host, &web(), Begun::Updating, details).unwrap();
    assert!(settle_all(&played.host, &[]).is_empty());
    let failure = memory(&played).failed(&path("two")).cloned();
    assert!(failure.is_some_and(|failure| failure.reason.contains("killed")));
    assert!(!played.profile().join("system-2-link").is_symlink());
}

#[test]
fn what_was_built_ahead_does_not_overrule_a_change() {
    let played = Played::new();
    played.record();
    played.build("three", "");
    let old = parse(&fs::read(played.intent()).unwrap(), &web()).unwrap();
    let source = old.source.clone().unwrap();
    let ahead = || {
        MadeAhead::of(&old, Ok(Made { path: path("three"), source: source.clone(), from: None, stale: None }))
    };
    assert!(ahead().fits(&old));
    // Another command switches to `two` before the container is locked.
    assert_eq!(of_all(&played, false).unwrap().result, UpdateResult::Updated);
    let nix = Nix::find(&played.host).unwrap();
    let options = UpdateOptions { all: true, ..RESTART };
    let updated = update(&played.host, &nix, &web(), &options, Some(ahead())).unwrap();
    assert_eq!(updated.result, UpdateResult::UpToDate, "its source gives `two`");
    let source = Source { nix_args: vec!["-L".parse().unwrap()], ..source.clone() };
    let other = Intent { source: Some(source), ..old.clone() };
    assert!(!ahead().fits(&other));
}

#[test]
fn links_of_builds_ahead_belong_to_their_process() {
    let played = Played::new();
    let (mine, gone) = (profile_links::ahead(), "ahead-4294967295");
    for name in [&mine, gone, "ahead-of-time"] {
        symlink(store_path("two"), played.profile().join(name)).unwrap();
    }
    profile_links::sweep_ahead(&played.host, Path::new(FOLDER));
    let there = |name: &str| played.profile().join(name).is_symlink();
    assert!(there(&mine) && !there(gone) && there("ahead-of-time"));
}

#[test]
fn nothing_to_update_forgets_a_failure_of_something_else() {
    let played = Played::new();
    played.record();
    of_all(&played, false).unwrap();
    let fail = |output| {
        let failure = Failure::now(FailureKind::Failed, "why", output);
        UpdateMemory::change(&played.host, &web(), Path::new(FOLDER), |memory| memory.fails(failure))
            .unwrap();
        assert_eq!(of_all(&played, false).unwrap().result, UpdateResult::UpToDate);
        memory(&played).failure.is_some()
    };
    assert!(!fail(None));
    assert!(fail(Some(path("two"))), "it was kept although it failed");
}

#[test]
fn a_stopped_container_is_not_healthy_and_a_check_is_run_as_it_is() {
    let played = Played::new();
    played.record();
    played.on_call(|words, _| words[0].ends_with("systemd-run").then(|| ended(0, "", "")));
    let limit = Duration::from_secs(1);
    let settling = Duration::ZERO;
    let gate = |check| Gate { expect: Expect::None, check, limit, settling, before: Before::default() };
    let plan = played.plan();
    let healthy = |check| healthy(&played.host, &web(), plan.as_deref(), &gate(check));
    healthy(Some("test ${A} = $$")).unwrap();
    let calls = played.calls();
    let run = calls.iter().find(|call| call.starts_with("systemd-run")).unwrap();
    assert!(
        run.contains(" --expand-environment=no ") && run.ends_with("/bin/sh -c exec 2>&1; test ${A} = $$"),
        "{run}"
    );
    healthy(None).unwrap();
    played.on_call(|words, _| {
        let asked = words[0].ends_with("systemctl") && words[1] == "show";
        asked.then(|| ended(0, "Id=systemd-nspawn@web.service\nActiveState=inactive\nResult=success\n", ""))
    });
    assert_eq!(format!("{:#}", healthy(None).unwrap_err()), "container 'web' is inactive (success)");
}

#[test]
fn a_plan_of_all_skips_what_an_update_of_all_skips() {
    let played = Played::new();
    played.record();
    let planned = |all, retry| {
        let nix = Nix::find(&played.host).unwrap();
        plan(&played.host, &nix, &web(), (&RESTART.source, None), None, (all, retry)).unwrap()
    };
    let change = |change: &dyn Fn(&mut UpdateMemory)| {
        UpdateMemory::change(&played.host, &web(), Path::new(FOLDER), |memory| change(memory)).unwrap();
    };
    assert!(planned(true, false).changes);
    change(&|memory| memory.fails(Failure::now(FailureKind::Failed, "why", Some(path("two")))));
    let before = memory(&played);
    let skipped = planned(true, false);
    assert!(!skipped.changes && skipped.skipped.is_some_and(|reason| reason.contains("--retry")));
    assert!(planned(true, true).changes && planned(false, false).changes);
    assert_eq!(memory(&played), before, "a plan changes nothing");
    change(&|memory| memory.hold = Some(Hold::now(None)));
    assert!(planned(true, true).skipped.is_some_and(|reason| reason.starts_with("held since")));
    assert!(planned(false, false).changes);
}
