//! Imports on a fake host: what is the other program's stays, whenever the command is killed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::change::give_back::{carry_out, why_not_stopped};
use crate::change::removal::RemoveOptions;
use crate::change::remove::remove;
use crate::change::settle::settle_all;
use crate::change::tests::is_call;
use crate::host::imported::{Imported, Move, Tool};
use crate::host::record::{Begun, Record, RecordDetails};
use crate::testing::{Played, ended, store_path, web};

const CONF: &str = "/etc/nixos-containers/web.conf";
const STATE: &str = "/var/lib/nixos-containers/web";
const NSPAWN: &str = "/etc/systemd/nspawn/web.nspawn";
const PROFILE: &str = "/nix/var/nix/profiles/per-nspawn/web";

fn moves(played: &Played, tool: Tool, paths: &[(&str, bool)]) -> Imported {
    let of = |(path, state): &(&str, bool)| Move::of(&played.host, Path::new(path), *state).unwrap().unwrap();
    Imported { tool, moves: paths.iter().map(of).collect(), copied_from: None }
}

/// Writes what nixos-container has of a container.
fn nixos_container(played: &Played) -> Imported {
    let [conf, state] = [CONF, STATE].map(|path| played.host.path(path));
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    fs::write(conf, "AUTO_START=0\n").unwrap();
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("data"), "x").unwrap();
    moves(played, Tool::NixosContainer, &[(CONF, false), (STATE, true)])
}

fn begun(played: &Played, step: Begun, import: Imported) -> Record {
    let details =
        RecordDetails { profile_directory: PROFILE.into(), import: Some(import), ..RecordDetails::default() };
    Record::begin(&played.host, &web(), step, details).unwrap()
}

/// Answers what the unit of nixos-container is.
fn unit_is(played: &Played, state: &'static str) {
    played.on_call(move |words, _| {
        (is_call(words, "systemctl", "container@web.service")).then(|| ended(0, &format!("{state}\n"), ""))
    });
}

#[test]
fn a_profile_that_was_given_back_stays() {
    let played = Played::new();
    let profile = played.host.path(PROFILE);
    for number in [1, 2] {
        symlink(store_path("one"), profile.join(format!("system-{number}-link"))).unwrap();
    }
    symlink("system-2-link", profile.join("system")).unwrap();
    let nspawn = played.host.path(NSPAWN);
    fs::create_dir_all(nspawn.parent().unwrap()).unwrap();
    symlink("/somewhere", &nspawn).unwrap();
    for step in [Begun::Removing, Begun::Creating] {
        let imported = moves(&played, Tool::PythonNixosNspawn, &[(NSPAWN, false), (PROFILE, false)]);
        // The folder was moved back, and then the command was killed.
        let [own, folder] = imported.moves.as_slice() else { panic!() };
        assert!(own.carry_out(&played.host, &web()).unwrap());
        assert!(folder.is_at(&profile).unwrap());
        begun(&played, step, imported);
        assert!(settle_all(&played.host, &[]).is_empty(), "{:?}", played.events.borrow());
        for link in ["system", "system-1-link", "system-2-link"] {
            assert!(profile.join(link).is_symlink(), "{step:?}: {link}");
        }
        assert!(nspawn.is_symlink() && played.hidden().is_empty(), "{step:?}");
    }
    assert_eq!(played.active(), "active", "{:?}", played.calls());
}

#[test]
fn the_state_of_half_an_import_is_not_deleted() {
    let played = Played::new();
    fs::create_dir_all(played.host.path("/var/lib/machines")).unwrap();
    for step in [Begun::Creating, Begun::Removing] {
        let imported = nixos_container(&played);
        for one in &imported.moves {
            assert!(one.carry_out(&played.host, &web()).unwrap());
        }
        begun(&played, step, imported);
        let options = RemoveOptions { delete_state: true, dry_run: false };
        let error = format!("{:#}", remove(&played.host, &web(), options).unwrap_err());
        assert!(error.contains("belongs to nixos-container again"), "{error}");
        assert!(played.host.path(STATE).join("data").exists() && played.host.path(CONF).exists(), "{step:?}");
        assert_eq!(played.hidden(), Vec::<String>::new());
    }
}

#[test]
fn only_a_stopped_container_is_moved() {
    let played = Played::new();
    let mut record = begun(&played, Begun::Creating, nixos_container(&played));
    for (state, said) in [
        ("active", "container@web.service runs"),
        ("activating", "container@web.service is activating"),
        ("deactivating", "container@web.service is deactivating"),
        ("reloading", "container@web.service is reloading"),
    ] {
        unit_is(&played, state);
        let error = format!("{:#}", carry_out(&played.host, &mut record).unwrap_err());
        assert!(error.contains(said), "{error}");
        assert!(played.host.path(STATE).exists() && played.host.path(CONF).exists(), "{state}");
    }
    unit_is(&played, "failed");
    assert!(why_not_stopped(&played.host, Tool::NixosContainer, &web()).unwrap().is_none());
    unit_is(&played, "inactive");
    carry_out(&played.host, &mut record).unwrap();
    assert!(played.host.path("/var/lib/machines/web/data").exists() && !played.host.path(CONF).exists());
    // The lock beside the old root goes with the move.
    assert!(fs::read_dir(played.host.path("/var/lib/nixos-containers")).unwrap().next().is_none());
}
