//! Renames of a tree, interrupted between any two of their steps.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nixos_nspawn_units::name::MachineName;

use crate::base::exit;
use crate::base::host::Host;
use crate::change::removal::RemoveOptions;
use crate::change::remove::remove;
use crate::change::rename::{RenameOptions, rename};
use crate::change::rename_steps::planned;
use crate::change::settle::settle_all;
use crate::host::record::{Begun, Phase, Record, RecordDetails};
use crate::testing::{Played, ended, store_path, web};

const NOW: RenameOptions = RenameOptions { restart: false, dry_run: false };

fn shop() -> MachineName {
    "shop".parse().unwrap()
}

/// Returns a tree, which is not the running system, with everything that a container can have.
fn tree() -> Played {
    let mut played = Played::new();
    played.record();
    played.host.live = false;
    let roots = played.host.gc_roots();
    let links = played.host.unit_links().join("machines.target.wants");
    let machines = played.host.machines();
    for folder in [&roots, &links, &machines.join("web/srv"), &machines.join("nixos-nspawn.v/web/1-1")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(machines.join("web/srv/data"), "x").unwrap();
    fs::write(
        played.profile().join("updates.json"),
        r#"{"version":1,"hold":{"since":"2026-01-01T00:00:00Z"}}"#,
    )
    .unwrap();
    for root in ["web", "web-pin-1", "web-2", "webby"] {
        symlink(store_path("one"), roots.join(root)).unwrap();
    }
    symlink("/usr/lib/systemd/system/systemd-nspawn@.service", links.join("systemd-nspawn@web.service"))
        .unwrap();
    played
}

/// Returns all paths of the tree that have a name, with that name replaced.
fn paths(host: &Host, name: &str) -> Vec<String> {
    let folders = ["etc", "var/lib/machines", "nix/var"];
    let found = folders.iter().flat_map(|folder| walkdir::WalkDir::new(host.root.join(folder)));
    let text = |entry: walkdir::DirEntry| {
        entry.path().strip_prefix(&host.root).unwrap().display().to_string().replace(name, "NAME")
    };
    let mut all: Vec<String> =
        found.map(|entry| text(entry.unwrap())).filter(|path| !path.contains("host.json")).collect();
    all.sort();
    all
}

/// Records a rename of which nothing is done yet.
fn begin(host: &Host, phase: Phase) -> Record {
    let old_intent = fs::read_to_string(host.path("/etc/nixos-nspawn/web.json")).unwrap();
    let details = RecordDetails {
        profile_directory: "/nix/var/nix/profiles/per-nspawn/web".into(),
        to: Some(shop()),
        new_intent: old_intent.replace("\"web\"", "\"shop\"").replace("per-nspawn/web/", "per-nspawn/shop/"),
        old_intent,
        phase,
        ..RecordDetails::default()
    };
    Record::begin(host, &web(), Begun::Renaming, details).unwrap()
}

#[test]
fn everything_gets_the_new_name() {
    let played = tree();
    let host = &played.host;
    let before = paths(host, "web");
    let would = rename(host, &web(), &shop(), RenameOptions { dry_run: true, ..NOW }).unwrap();
    assert_eq!(paths(host, "web"), before, "a dry run changes nothing");
    assert!(would.notes.iter().any(|note| note.contains("host name changes to 'shop'")), "{:?}", would.notes);
    let done = rename(host, &web(), &shop(), NOW).unwrap();
    assert_eq!((done.moved.len(), &done.moved), (7, &would.moved));
    // Only the roots of other containers have a name that begins like the old one.
    let after: Vec<String> = paths(host, "shop")
        .iter()
        .map(|path| path.replace("/webby", "/NAMEby").replace("/web-2", "/NAME-2"))
        .collect();
    let (mut before, mut after) = (before, after);
    before.sort();
    after.sort();
    assert_eq!(after, before);
    let intent = fs::read_to_string(host.path("/etc/nixos-nspawn/shop.json")).unwrap();
    assert!(intent.contains(r#""name": "shop""#) && intent.contains("per-nspawn/shop/system"), "{intent}");
    // And back again.
    rename(host, &shop(), &web(), NOW).unwrap();
    assert!(host.path("/var/lib/machines/web/srv/data").exists() && played.hidden().is_empty());
}

#[test]
fn a_killed_rename_is_settled() {
    for phase in [Phase::Building, Phase::Returning] {
        for steps in 0..8 {
            let played = tree();
            let host = &played.host;
            let before = paths(host, "web");
            let record = begin(host, phase);
            let moves: Vec<(PathBuf, PathBuf)> = planned(host, &record).unwrap();
            assert_eq!(moves.len(), 7);
            for (at, (from, to)) in moves.iter().enumerate().take(steps) {
                match at {
                    0 => fs::remove_file(from).unwrap(),
                    _ => fs::rename(from, to).unwrap(),
                }
            }
            if steps == 8 {
                fs::write(host.path("/etc/nixos-nspawn/shop.json"), &record.details.new_intent).unwrap();
            }
            // Other commands for either name do nothing before it is settled.
            let options = RemoveOptions { delete_state: true, dry_run: false };
            for name in [web(), shop()] {
                let refused = remove(host, &name, options).unwrap_err();
                assert!(refused.to_string().contains("left incomplete"), "{refused}");
            }
            assert!(settle_all(host, &[web()]).is_empty(), "{:?}", played.events.borrow());
            assert!(played.hidden().is_empty(), "{phase:?}, {steps}");
            let (has, not) = if phase == Phase::Returning { ("web", "shop") } else { ("shop", "web") };
            assert!(host.path(format!("/etc/nixos-nspawn/{has}.json")).exists(), "{phase:?}, {steps}");
            assert!(!host.path(format!("/etc/nixos-nspawn/{not}.json")).exists(), "{phase:?}, {steps}");
            assert!(host.path(format!("/var/lib/machines/{has}/srv/data")).exists(), "{phase:?}, {steps}");
            if has == "web" {
                assert_eq!(paths(host, "web"), before, "{steps}");
            }
        }
    }
}

#[test]
fn intents_of_others_stay() {
    let other = format!(r#"{{"version":1,"toplevel":"{}"}}"#, store_path("two"));
    // The new name was taken meanwhile: back to the old one.
    let played = tree();
    let host = &played.host;
    let record = begin(host, Phase::Building);
    for (from, to) in &planned(host, &record).unwrap()[1..3] {
        fs::rename(from, to).unwrap();
    }
    fs::remove_file(played.intent()).unwrap();
    fs::write(host.path("/etc/nixos-nspawn/shop.json"), &other).unwrap();
    assert!(settle_all(host, &[]).is_empty(), "{:?}", played.events.borrow());
    assert_eq!(fs::read_to_string(host.path("/etc/nixos-nspawn/shop.json")).unwrap(), other);
    assert_eq!(fs::read_to_string(played.intent()).unwrap(), record.details.old_intent);
    assert!(host.path("/var/lib/machines/web/srv/data").exists() && played.hidden().is_empty());

    // The intent was edited before anything was done.
    let played = tree();
    begin(&played.host, Phase::Building);
    fs::write(played.intent(), &other).unwrap();
    assert!(settle_all(&played.host, &[]).is_empty());
    assert_eq!(fs::read_to_string(played.intent()).unwrap(), other);
    assert!(played.host.path("/var/lib/machines/web/srv/data").exists() && played.hidden().is_empty());
}

#[test]
fn names_that_are_taken_are_refused() {
    for place in
        ["var/lib/machines/shop", "var/lib/machines/shop.raw", "var/lib/machines/nixos-nspawn.v/shop"]
    {
        let played = tree();
        fs::create_dir_all(played.host.root.join(place)).unwrap();
        let before = paths(&played.host, "web");
        let error = rename(&played.host, &web(), &shop(), NOW).unwrap_err();
        assert!(format!("{error:#}").contains("already exists") && exit::code(&error) == 10, "{error:#}");
        assert_eq!(paths(&played.host, "web"), before);
    }
    let played = tree();
    let profile = played.host.path("/nix/var/nix/profiles/per-nspawn/shop");
    fs::create_dir_all(&profile).unwrap();
    fs::write(profile.join("mine"), "").unwrap();
    assert!(rename(&played.host, &web(), &shop(), NOW).is_err() && profile.join("mine").exists());
    // Notes of an earlier container are not in the way.
    fs::rename(profile.join("mine"), profile.join("last-activation.json")).unwrap();
    rename(&played.host, &web(), &shop(), NOW).unwrap();
    assert!(profile.join("system-1-link").is_symlink() && !profile.join("last-activation.json").exists());
    let same = rename(&played.host, &shop(), &shop(), NOW).unwrap_err();
    assert_eq!(exit::code(&same), 2);
}

#[test]
fn a_rename_that_fails_is_taken_back() {
    let played = tree();
    let host = &played.host;
    let before = paths(host, "web");
    let pin = host.gc_roots().join("shop-pin-1");
    fs::create_dir_all(&pin).unwrap();
    let error = rename(host, &web(), &shop(), NOW).unwrap_err();
    assert!(format!("{error:#}").contains("already exists, nothing was changed"), "{error:#}");
    // It appeared after the check, as if made by somebody else.
    begin(host, Phase::Building);
    assert!(settle_all(host, &[]).is_empty(), "{:?}", played.events.borrow());
    let said = format!("{:?}", played.events.borrow());
    assert!(said.contains("it keeps its name") && said.contains("is in the way"), "{said}");
    assert!(played.hidden().is_empty() && pin.is_dir());
    fs::remove_dir(&pin).unwrap();
    assert_eq!(paths(host, "web"), before);
}

#[test]
fn a_rename_stops_nothing_that_requires_the_container() {
    let other = format!(
        r#"{{"version":1,"name":"app","toplevel":"{}","container":{{"requires":["web"]}}}}"#,
        store_path("two")
    );
    for (restart, state, code) in [
        (true, "active", 10),
        (true, "deactivating", 10),
        (true, "inactive", 0),
        (true, "failed", 0),
        (false, "active", 10),
    ] {
        let mut played = tree();
        played.host.live = true;
        if !restart {
            played.stop();
        }
        fs::write(played.host.path("/etc/nixos-nspawn/app.json"), &other).unwrap();
        played.on_call(move |words, _| {
            let asked = words.get(1).is_some_and(|word| word == "show")
                && words.last().is_some_and(|unit| unit == "systemd-nspawn@app.service");
            asked.then(|| ended(0, &format!("Id=systemd-nspawn@app.service\nActiveState={state}\n"), ""))
        });
        let before = paths(&played.host, "web");
        let would = rename(&played.host, &web(), &shop(), RenameOptions { restart, dry_run: true });
        let said = would.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert_eq!(would.as_ref().err().map_or(0, exit::code), code, "{state}: {said}");
        let refusal = "container 'app' is running and requires 'web', so it would stop, nothing was changed; \
             'nixos-nspawn stop app' stops it";
        assert_eq!(said, if code == 0 { "" } else { refusal }, "{state}");
        assert_eq!(paths(&played.host, "web"), before);
        let stopped = |call: &String| call.starts_with("systemctl stop");
        assert!(!played.calls().iter().any(stopped), "{:?}", played.calls());
    }
}

#[test]
fn a_rename_stops_no_unit_that_requires_the_container() {
    let mut played = tree();
    played.host.live = true;
    played.on_call(|words, _| {
        let id = words.last().filter(|_| words.iter().any(|word| word == "RequiredBy"))?;
        let required_by = if id == "backup.service" { "" } else { "backup.service" };
        Some(ended(0, &format!("Id={id}\nActiveState=active\nRequiredBy={required_by}\nBoundBy=\n"), ""))
    });
    let options = RenameOptions { restart: true, dry_run: true };
    let error = rename(&played.host, &web(), &shop(), options).unwrap_err();
    let said = format!("{error:#}");
    assert!(said.contains("backup.service is running") && exit::code(&error) == 10, "{said}");
    assert!(said.contains("'systemctl stop backup.service' stops it"), "{said}");
}

#[test]
fn an_import_that_can_be_undone_keeps_its_name() {
    let played = tree();
    let host = &played.host;
    let before = paths(host, "web");
    for (name, expected) in
        [("web", "container 'web' was imported"), ("shop", "'shop' was imported and removed")]
    {
        let note = host.path(format!("/etc/nixos-nspawn/.{name}.imported"));
        fs::write(&note, r#"{"tool":"nixos-container","moves":[]}"#).unwrap();
        for dry_run in [true, false] {
            let error = rename(host, &web(), &shop(), RenameOptions { dry_run, ..NOW }).unwrap_err();
            let said = format!("{error:#}");
            assert!(said.contains(expected) && exit::code(&error) == 10, "{said}");
            assert!(said.contains(&format!("'rm {}' gives that up", note.display())), "{said}");
        }
        fs::remove_file(&note).unwrap();
        assert_eq!(paths(host, "web"), before);
    }
    rename(host, &web(), &shop(), NOW).unwrap();
}
