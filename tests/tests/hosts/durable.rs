//! The order in which commands write to the disk, as a power failure needs it: what an intent refers to comes before it,
//! and a record goes after what it makes up for.

use nixos_nspawn_tests::host::{FLAKE, Host};
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::torture::fault::Point;
use nixos_nspawn_tests::torture::kills::prepare;
use nixos_nspawn_tests::torture::verbs::new_pages;

on_both_hosts!(the_store_is_on_the_disk_before_the_intent_and_removals_before_the_record);

fn the_store_is_on_the_disk_before_the_intent_and_removals_before_the_record(host: &Host) {
    let live = prepare(host);
    host.ctl_ok(&["remove", "t0", "--delete-state"]);
    let created = live.points(&["create", "t0", "--flake", FLAKE, "--no-start"]);
    let store = store_before_intent(&created);
    // The link of the build goes when the profile has the new generation.
    let built = created.iter().position(|point| point.call == "unlink" && point.shown.contains("/pending\""));
    assert!(built.is_some_and(|built| built < store), "{created:#?}");

    new_pages(host, "second\n");
    let updated = live.points(&["update", "t0"]);
    // nix-env has just set the profile.
    assert!(updated[store_before_intent(&updated) - 1].call.starts_with("wait"), "{updated:#?}");

    // The directories of the profile and of indirect roots, where the link of the build was.
    assert_eq!(synced_before_record(&updated, ".t0.updating\""), 2, "{updated:#?}");

    // What was removed last, and the record. The directories of roots, indirect roots, profiles and containers.
    let removed = live.points(&["remove", "t0", "--delete-state"]);
    assert_eq!(synced_before_record(&removed, ".t0.removing\""), 4, "{removed:#?}");
}

/// Returns how many directories are synced immediately before the record is removed.
fn synced_before_record(points: &[Point], record: &str) -> usize {
    let record = points.iter().position(|point| point.shown.contains(record) && point.call == "unlink");
    let record = record.unwrap_or_else(|| panic!("no record is removed: {points:#?}"));
    points[..record].iter().rev().take_while(|point| point.call == "fsync").count()
}

/// Panics unless the store and Nix's state are written to the disk before the intent, and the intent and its directory at
/// once. Returns the index of the first of these calls.
fn store_before_intent(points: &[Point]) -> usize {
    let position =
        |what: &str, found: Option<usize>| found.unwrap_or_else(|| panic!("no {what}: {points:#?}"));
    let store = position("syncfs", points.iter().position(|point| point.call == "syncfs"));
    let intent =
        points.iter().position(|point| point.call == "renameat" && point.shown.contains("\"t0.json\""));
    let intent = position("intent", intent);
    assert!(store + 1 < intent && points[store + 1].call == "syncfs", "{points:#?}");
    assert_eq!([&points[intent - 1].call, &points[intent + 1].call], ["fsync"; 2], "{points:#?}");
    store
}
