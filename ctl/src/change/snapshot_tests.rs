//! The records of snapshots, on a fake host without btrfs.

use std::fs;
use std::os::unix::fs::symlink;

use nixos_nspawn_units::intent::{Intent, parse};

use crate::change::snapshot::prune;
use crate::fact::generations::{current, generations};
use crate::host::gc_roots::pin_link;
use crate::host::snapshots::{Snapshot, change, read};
use crate::testing::{Played, store_path, web};

fn intent(played: &Played) -> Intent {
    parse(&fs::read(played.intent()).unwrap(), &web()).unwrap()
}

/// Records a snapshot of a generation.
fn snapshot(played: &Played, generation: u64, system: &str) {
    let one = Snapshot {
        directory: format!("{generation}-1"),
        generation: Some(generation),
        profile: Some(store_path(system).parse().unwrap()),
        time: "2026-01-01T00:00:00Z".to_owned(),
        uuid: None,
        put_back: false,
        unfinished: None,
    };
    change(&played.host, &web(), |all| all.push(one)).unwrap();
}

#[test]
fn a_missing_profile_deletes_no_snapshots() {
    let played = Played::new();
    played.record();
    fs::create_dir_all(played.host.machines()).unwrap();
    snapshot(&played, 1, "one");
    prune(&played.host, &web(), &intent(&played)).unwrap();
    // The directory may be on another file system, which is not mounted.
    let away = played.profile().with_file_name("away");
    fs::rename(played.profile(), &away).unwrap();
    // A pin does not prove that there were no others.
    let pin = pin_link(&played.host, &web(), 1);
    fs::create_dir_all(pin.parent().unwrap()).unwrap();
    symlink(store_path("one"), &pin).unwrap();
    snapshot(&played, 2, "two");
    let before = read(&played.host, &web()).unwrap();
    let error = prune(&played.host, &web(), &intent(&played)).unwrap_err();
    assert!(error.to_string().contains("the current generation is missing"), "{error:#}");
    assert_eq!(read(&played.host, &web()).unwrap(), before);
}

#[test]
fn the_current_generation_is_the_one_in_the_profile() {
    let played = Played::new();
    played.record();
    // Its number was that of a pinned generation.
    let pin = pin_link(&played.host, &web(), 1);
    fs::create_dir_all(pin.parent().unwrap()).unwrap();
    symlink(store_path("two"), &pin).unwrap();
    let all = generations(&played.host, &web(), &intent(&played)).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(current(&all).map(|one| one.path.as_str()), Some(store_path("one").as_str()));
}
