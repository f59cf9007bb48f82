//! Creates and removals on a fake host: what is deleted was made by this program.

use std::fs;
use std::os::unix::fs::symlink;

use crate::base::exit;
use crate::change::create::{CreateOptions, create};
use crate::change::new_copy::check_place;
use crate::change::removal::{RemoveOptions, Removed};
use crate::change::remove::remove;
use crate::change::settle::settle_all;
use crate::change::tests::{is_call, recorded};
use crate::host::record::{Begun, Phase, Record, RecordDetails, StateClaim};
use crate::nix::source::SourceArguments;
use crate::testing::{Played, ended, store_path, web};

#[test]
fn a_create_does_not_delete_what_it_has_not_made() {
    let played = Played::new();
    fs::remove_dir_all(played.profile()).unwrap();
    let state = played.host.path("/var/lib/machines/web");
    let restored = state.clone();
    // An administrator restores a backup during the build; then the start fails.
    played.on_call(move |words, _| {
        if is_call(words, "nix-env", "--set") {
            fs::create_dir_all(&restored).unwrap();
            fs::write(restored.join("data"), "x").unwrap();
        }
        is_call(words, "systemctl", "start").then(|| ended(1, "", "Job failed."))
    });
    let path = store_path("two");
    let profile = played.host.path(&path);
    let source = SourceArguments { profile: Some(&profile), ..SourceArguments::default() };
    let options = CreateOptions {
        overrides: None,
        source,
        start: true,
        allow_user_store: true,
        allow_taken_ports: false,
        applied: None,
        import: None,
    };
    // The checks of a real host are not scripted.
    let error = create(&played.host, &web(), &options).unwrap_err();
    assert!(format!("{error:#}").contains("nspawn") || state.join("data").exists(), "{error:#}");
    assert!(!played.intent().exists() && played.hidden().is_empty());
}

#[test]
fn settling_a_killed_create_leaves_what_others_made() {
    let played = Played::new();
    let state = played.host.path("/var/lib/machines/web");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("data"), "x").unwrap();
    for claim in [StateClaim::None, StateClaim::Making] {
        let details = RecordDetails { state: claim.clone(), ..RecordDetails::default() };
        Record::begin(&played.host, &web(), Begun::Creating, details).unwrap();
        assert!(settle_all(&played.host, &[]).is_empty(), "{:?}", played.events.borrow());
        assert!(state.join("data").exists(), "{claim:?}");
        assert_eq!(played.hidden(), Vec::<String>::new());
    }
    // Whatever runs under the name without settings of ours is not stopped.
    let stopped = || played.calls().iter().any(|call| call.starts_with("systemctl stop"));
    assert!(!stopped() && played.active() == "active", "{:?}", played.calls());

    // An intent that was written by hand meanwhile stays as well, and so do its container and its pins.
    fs::write(played.intent(), format!(r#"{{"version":1,"toplevel":"{}"}}"#, store_path("one"))).unwrap();
    let roots = played.host.gc_roots();
    fs::create_dir_all(&roots).unwrap();
    for root in ["web", "web-pin-1"] {
        symlink(store_path("one"), roots.join(root)).unwrap();
    }
    let details = RecordDetails { made_profile: true, ..RecordDetails::default() };
    Record::begin(&played.host, &web(), Begun::Creating, details).unwrap();
    assert!(settle_all(&played.host, &[]).is_empty(), "{:?}", played.events.borrow());
    assert!(played.intent().exists() && played.hidden().is_empty() && !stopped());
    assert!(["web", "web-pin-1"].iter().all(|root| roots.join(root).is_symlink()));
    assert!(!played.profile().exists(), "the create made it");
}

#[test]
fn a_record_of_another_version_blocks_its_container_only() {
    let played = Played::new();
    played.record();
    let record = played.host.path("/etc/nixos-nspawn/.web.updating");
    fs::write(&record, r#"{"phase":"thinking"}"#).unwrap();
    let failed = settle_all(&played.host, &[]);
    assert_eq!(failed.into_iter().collect::<Vec<_>>(), [(web(), 10)]);
    assert!(record.exists() && !played.calls().iter().any(|call| call.starts_with("systemctl stop")));
    let said = format!("{:?}", played.events.borrow());
    assert!(said.contains("thinking") && said.contains("delete this file"), "{said}");
}

#[test]
fn a_removal_deletes_links_of_the_profile_only() {
    let options = RemoveOptions { delete_state: false, dry_run: false };
    let links = ["current", "system-old-link", "other-1-link"];
    let mine = |played: &Played| links.iter().all(|link| played.profile().join(link).is_symlink());
    let add = |played: &Played| {
        links.iter().for_each(|link| symlink("releases/42", played.profile().join(link)).unwrap());
    };
    let played = Played::new();
    played.record();
    add(&played);
    remove(&played.host, &web(), options).unwrap();
    assert!(mine(&played) && !played.profile().join("system").is_symlink());

    // A profile that nothing proves to be the container's stays: python-nixos-nspawn has its own in the same place.
    for (root, stays) in [(None, true), (Some("one"), false)] {
        let played = Played::new();
        played.record();
        fs::write(played.intent(), "{").unwrap();
        if let Some(root) = root {
            fs::create_dir_all(played.host.gc_roots()).unwrap();
            symlink(store_path(root), played.host.gc_roots().join("web")).unwrap();
        }
        remove(&played.host, &web(), options).unwrap();
        assert!(!played.intent().exists());
        assert_eq!(played.profile().join("system-1-link").is_symlink(), stays, "{root:?}");
    }
}

#[test]
fn a_container_that_cannot_be_stopped_stays() {
    let played = Played::new();
    played.record();
    let before = recorded(&played);
    played.on_call(|words, _| is_call(words, "systemctl", "stop").then(|| ended(1, "", "Timed out.")));
    let options = RemoveOptions { delete_state: false, dry_run: false };
    let error = remove(&played.host, &web(), options).unwrap_err();
    assert!(format!("{error:#}").contains("cannot be stopped"), "{error:#}");
    assert_eq!((recorded(&played), played.hidden()), (before, vec![]));
}

#[test]
fn a_refused_removal_keeps_the_record_of_a_killed_update() {
    let played = Played::new();
    played.record();
    let details =
        RecordDetails { phase: Phase::Recording, old_intent: recorded(&played), ..RecordDetails::default() };
    Record::begin(&played.host, &web(), Begun::Updating, details).unwrap();
    // A link in place of the state is not deleted.
    let machines = played.host.path("/var/lib/machines");
    fs::create_dir_all(&machines).unwrap();
    symlink("/srv", machines.join("web")).unwrap();
    let options = RemoveOptions { delete_state: true, dry_run: false };
    let error = remove(&played.host, &web(), options).unwrap_err();
    assert_eq!(exit::code(&error), 10, "{error:#}");
    assert_eq!(played.hidden(), [".web.updating"]);
}

#[test]
fn an_unreadable_directory_is_not_a_missing_one() {
    let played = Played::new();
    played.record();
    let directory = played.host.path("/etc/nixos-nspawn");
    fs::rename(&directory, played.host.path("/etc/elsewhere")).unwrap();
    fs::write(&directory, "").unwrap();
    let options = RemoveOptions { delete_state: false, dry_run: true };
    let error = remove(&played.host, &web(), options).unwrap_err();
    assert!(format!("{error:#}").contains("/etc/nixos-nspawn"), "{error:#}");
    fs::remove_file(&directory).unwrap();
    // Where there is none, there is no container.
    assert!(matches!(remove(&played.host, &web(), options).unwrap(), Removed::Absent(_)));
}

#[test]
fn a_hostile_tree_does_not_lead_out_of_itself() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().canonicalize().unwrap();
    fs::create_dir_all(victim.join("web")).unwrap();
    symlink("/etc", victim.join("web/system-1-link")).unwrap();
    let mut played = Played::new();
    played.host.live = false;
    symlink(&victim, played.host.root.join("x")).unwrap();
    let text = format!(r#"{{"version":1,"toplevel":"{}","profile":"/x/web/system"}}"#, store_path("one"));
    fs::write(played.intent(), text).unwrap();
    let options = RemoveOptions { delete_state: false, dry_run: false };
    remove(&played.host, &web(), options).unwrap();
    assert!(victim.join("web/system-1-link").is_symlink(), "deleted outside of the tree");
    // A record of a killed command has no effect outside the tree either.
    let details =
        RecordDetails { profile_directory: "/x/web".into(), made_profile: true, ..RecordDetails::default() };
    Record::begin(&played.host, &web(), Begun::Removing, details).unwrap();
    settle_all(&played.host, &[]);
    assert!(victim.join("web/system-1-link").is_symlink(), "deleted outside of the tree");
    assert!(!played.intent().exists() && played.hidden().is_empty());
}

#[test]
fn the_note_on_an_import_is_never_that_of_a_new_container() {
    let mut played = Played::new();
    played.host.live = false;
    let host = &played.host;
    let note = host.path("/etc/nixos-nspawn/.web.imported");
    let text = r#"{"tool":"nixos-container","moves":[]}"#;
    fs::write(&note, text).unwrap();
    fs::remove_dir_all(played.profile()).unwrap();
    let profile = host.path(store_path("two"));
    let options = CreateOptions {
        overrides: None,
        source: SourceArguments { profile: Some(&profile), ..SourceArguments::default() },
        start: false,
        allow_user_store: true,
        allow_taken_ports: false,
        applied: None,
        import: None,
    };
    // What clone and the import of an archive check, then a create.
    let copied = check_place(host, &web()).unwrap_err();
    let created = create(host, &web(), &options).unwrap_err();
    for refused in [copied, created] {
        let said = format!("{refused:#}");
        assert!(said.contains("'web' was imported and removed") && exit::code(&refused) == 10, "{said}");
        assert!(said.contains("'nixos-nspawn import --undo web' does so"), "{said}");
    }
    assert_eq!(fs::read_to_string(&note).unwrap(), text);
    fs::remove_file(&note).unwrap();
    check_place(host, &web()).unwrap();
    create(host, &web(), &options).unwrap();
    assert!(played.intent().exists() && !note.exists());
}
