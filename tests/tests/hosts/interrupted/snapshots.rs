//! Commands that are killed while they make a snapshot, exchange the state or delete snapshots.

use nixos_nspawn_tests::host::{Host, Output, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

use super::{killed, settle, stoppable};

on_both_hosts!(killed_with_snapshots);

const STATE: &str = "/var/lib/machines/web";
const RECORD: &str = "/var/lib/machines/nixos-nspawn.v/web/snapshots.json";

fn own(host: &Host, page: &str) {
    let mut settings = dynamic(page);
    settings["container"]["activation"] = json!({"strategy": "restart", "snapshot": true});
    host.own(&json!({ "web": settings }));
}

/// Returns the record of the snapshots, which must be complete and agree with the subvolumes.
fn recorded(host: &Host, at: &str, settled: &Output) -> Vec<Value> {
    let record: Value = serde_json::from_str(&host.file(RECORD)).expect("JSON");
    let all = record["snapshots"].as_array().expect("a list").clone();
    assert!(all.iter().all(|one| one.get("unfinished").is_none()), "{at}: {settled}: {record}");
    let there = host.sh("btrfs subvolume list /var/lib/machines");
    let snapshots = there.lines().filter(|line| line.contains("nixos-nspawn.v/web/")).count();
    // Each has a subvolume inside.
    assert_eq!(snapshots, 2 * all.len(), "{at}: {settled}: {record}\n{there}");
    all
}

/// Returns how many snapshots there are besides the copies that undone rollbacks have left, at most three.
fn without_copies(all: &[Value]) -> usize {
    let (copies, others): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|one| one["putBack"] == true);
    assert!(copies.len() <= 3 && copies.iter().all(|one| one["generation"] == 1), "{all:?}");
    others.len()
}

fn killed_with_snapshots(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    host.mount_btrfs();
    own(host, "one\n");
    host.create("web");
    host.sh(&format!("btrfs subvolume create {STATE}/inner; echo one > {STATE}/inner/data"));
    let data = || host.sh(&format!("cat {STATE}/inner/data")).trim().to_owned();

    // An update: the old generation runs again, or the new one; a complete snapshot is kept.
    for place in ["activating", "snapshot-recorded", "snapshot-made", "snapshot-kept", "activated", "passed"]
    {
        let before = host.recorded("web");
        own(host, &format!("{place}\n"));
        killed(host, place, &["update", "web"]);
        let settled = settle(host);
        host.assert_agreed("web");
        let new = ["activated", "passed"].contains(&place);
        assert_eq!(host.recorded("web") != before, new, "{place}: {settled}");
        assert_eq!((host.state("web").as_str(), data().as_str()), ("active", "one"), "{place}: {settled}");
        if host.exists(RECORD) {
            recorded(host, place, &settled);
        }
    }
    let all = recorded(host, "all", &settle(host));
    let of =
        |all: &[Value], generation: u64| all.iter().filter(|one| one["generation"] == generation).count();
    // The first one is of the update that was killed after it.
    assert_eq!((of(&all, 1), of(&all, 2)), (2, 1), "{all:?}");

    // A rollback with the state: generation and state are the old ones, until the container runs with the new ones.
    host.sh(&format!("echo two > {STATE}/inner/data"));
    let before = host.recorded("web");
    let back = ["rollback", "web", "--to", "1", "--with-state"];
    for place in
        ["recording", "activating", "exchange-recorded", "exchange-copied", "exchanged", "intent", "reload"]
    {
        killed(host, place, &back);
        let settled = settle(host);
        host.assert_agreed("web");
        assert_eq!((host.recorded("web"), data().as_str()), (before.clone(), "two"), "{place}: {settled}");
        assert_eq!(host.state("web"), "active", "{place}: {settled}");
        assert_eq!(without_copies(&recorded(host, place, &settled)), all.len(), "{place}: {settled}");
    }

    // Killed on the way back of a rollback that fails.
    let fails = [&back[..], &["--check", "false", "--timeout", "2s"]].concat();
    for place in ["back-intent", "back-reload", "back-stopped", "putting-back", "exchanged-back"] {
        killed(host, place, &fails);
        let settled = settle(host);
        host.assert_agreed("web");
        assert_eq!((host.recorded("web"), data().as_str()), (before.clone(), "two"), "{place}: {settled}");
        assert_eq!(host.state("web"), "active", "{place}: {settled}");
        assert_eq!(without_copies(&recorded(host, place, &settled)), all.len(), "{place}: {settled}");
    }

    // The container ran on the copy, as after a boot, before the next command: what it wrote is kept.
    killed(host, "exchanged", &back);
    host.ok(&["systemctl", "start", &unit("web")]);
    host.inside("web", &["sh", "-c", "echo meanwhile > /inner/data"]);
    let settled = settle(host);
    host.assert_agreed("web");
    assert_eq!((host.recorded("web"), data().as_str()), (before, "two"), "{settled}");
    let left = recorded(host, "meanwhile", &settled);
    let copy = left.iter().rev().find(|one| one["putBack"] == true).expect("a copy");
    let place = RECORD.replace("snapshots.json", copy["directory"].as_str().expect("a name"));
    assert!(settled.stderr.contains(&format!("is kept in {place}")), "{settled}");
    assert_eq!(host.sh(&format!("cat {place}/inner/data")), "meanwhile\n", "{settled}");
    assert!(!host.run(&["touch", &format!("{place}/inner/new")]).success(), "it is read-only");

    for place in ["activated", "passed"] {
        killed(host, place, &back);
        let settled = settle(host);
        host.assert_agreed("web");
        assert_eq!((host.generation("web"), data().as_str()), (1, "one"), "{place}: {settled}");
        recorded(host, place, &settled);
        host.ctl_ok(&["rollback", "web", "--to", "3", "--with-state"]);
        assert_eq!(data(), "two", "{place}");
    }

    // Snapshots whose deletion was interrupted are deleted later.
    killed(host, "generations-deleted", &["delete-generations", "web", "2"]);
    host.ctl_ok(&["delete-generations", "web", "old"]);
    let left = recorded(host, "deletion", &settle(host));
    assert!(left.iter().all(|one| one["generation"] == 3), "{left:?}");
    host.ctl_ok(&["rollback", "web", "--to", "3", "--with-state"]);
    own(host, "last\n");
    host.ctl_ok(&["update", "web"]);
    killed(host, "snapshot-deleting", &["delete-generations", "web", "3"]);
    host.ctl_ok(&["delete-generations", "web", "old"]);
    assert!(!host.exists(RECORD), "{}", host.sh("find /var/lib/machines/nixos-nspawn.v -maxdepth 2"));
    host.assert_agreed("web");
}
