//! What is remembered of updates, beside the profile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::change::settle::settle_all;
use crate::change::unattended_tests::{FOLDER, memory, path};
use crate::host::profile_links;
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::update_memory::{Failure, FailureKind, Hold, UpdateMemory};
use crate::testing::{Played, store_path, web};

#[test]
fn what_is_remembered_outlives_another_version() {
    let played = Played::new();
    let file = played.profile().join("updates.json");
    let change =
        || UpdateMemory::change(&played.host, &web(), Path::new(FOLDER), |memory| memory.hold = None);
    fs::write(&file, r#"{"hold":{"since":"2026-01-01T00:00:00Z"},"later":[1]}"#).unwrap();
    change().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"version\":1,\"later\":[1]}\n");
    let newer = r#"{"version":2,"hold":{"since":"2026-01-01T00:00:00Z"}}"#;
    fs::write(&file, newer).unwrap();
    assert!(format!("{:#}", change().unwrap_err()).contains("newer version"));
    assert_eq!(fs::read_to_string(&file).unwrap(), newer);
}

#[test]
fn nothing_is_remembered_in_the_profile_of_another() {
    let played = Played::new();
    let other = "copy".parse().unwrap();
    let failure = || Failure::now(FailureKind::Failed, "why", Some(path("two")));
    let fail = |name| {
        UpdateMemory::change(&played.host, name, Path::new(FOLDER), |memory| memory.fails(failure()))
            .unwrap();
    };
    fail(&other);
    assert!(!played.profile().join("updates.json").exists());
    fail(&web());
    let memory = UpdateMemory::read(&played.host, &other, Path::new(FOLDER)).unwrap();
    assert_eq!(memory, UpdateMemory::default());
}

#[test]
fn a_killed_rollback_that_is_undone_is_forgotten() {
    let played = Played::new();
    played.record();
    let old_intent = fs::read_to_string(played.intent()).unwrap();
    let left = Some(path("one"));
    UpdateMemory::change(&played.host, &web(), Path::new(FOLDER), |memory| {
        memory.fails(Failure::now(FailureKind::RolledBack, "to generation 0", left.clone()));
    })
    .unwrap();
    let details = RecordDetails {
        profile_directory: FOLDER.into(),
        ran: true,
        old_intent,
        left,
        ..RecordDetails::default()
    };
    Record::begin(&played.host, &web(), Begun::Updating, details).unwrap();
    assert!(settle_all(&played.host, &[]).is_empty());
    assert_eq!(memory(&played).failed(&path("one")), None);
    assert_eq!(memory(&played).failure, None);
}

#[test]
fn notes_alone_are_no_profile() {
    let played = Played::new();
    let (host, folder) = (&played.host, Path::new(FOLDER));
    assert!(profile_links::is_adoptable(host, folder).unwrap());
    let held = |memory: &mut UpdateMemory| memory.hold = Some(Hold::now(None));
    profile_links::make_directory(host, folder).unwrap();
    UpdateMemory::change(host, &web(), folder, held).unwrap();
    assert!(profile_links::is_adoptable(host, folder).unwrap());
    assert_eq!(profile_links::proven_directory(host, &web()), folder);
    profile_links::remove_notes(host, folder).unwrap();
    assert_eq!(UpdateMemory::read(host, &web(), folder).unwrap().hold, None);
    // Somebody else's profile is neither.
    UpdateMemory::change(host, &web(), folder, held).unwrap();
    symlink(store_path("one"), host.path(folder).join("system-1-link")).unwrap();
    assert!(!profile_links::is_adoptable(host, folder).unwrap());
    assert_eq!(profile_links::proven_directory(host, &web()), Path::new(""));
}
