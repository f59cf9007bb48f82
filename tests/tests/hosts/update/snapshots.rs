//! Snapshots of the state, on a real btrfs: kept with generations, restored by rollbacks, and deleted with generations.

use nixos_nspawn_tests::host::{Host, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::web;

on_both_hosts!(state_with_generations, starts_during_a_snapshot);

const STATE: &str = "/var/lib/machines/web";
const SNAPSHOTS: &str = "/var/lib/machines/nixos-nspawn.v/web";

/// Returns the test flake's container with snapshots.
fn with_snapshots(page: &str) -> Value {
    let mut settings = dynamic(page);
    settings["container"]["activation"] = json!({"strategy": "restart", "snapshot": true});
    settings
}

/// Returns the paths of the snapshots of a generation.
fn snapshots(host: &Host, generation: u64) -> Vec<String> {
    let output = host.ctl_ok(&["list-generations", "web", "--json"]);
    let all: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let one = all.as_array().expect("a list").iter().find(|one| one["generation"] == generation);
    let paths = one.map(|one| one["snapshots"].as_array().expect("a list").clone()).unwrap_or_default();
    paths.iter().map(|one| one["path"].as_str().expect("a path").to_owned()).collect()
}

/// Writes to the state and to a subvolume in it.
fn fill(host: &Host, text: &str) {
    host.sh(&format!("echo {text} > {STATE}/var/data; echo {text} > '{STATE}/var/in ner/data'"));
}

/// Returns what [`fill`] wrote, from the state or from a snapshot.
fn data(host: &Host, state: &str) -> String {
    host.sh(&format!("cat {state}/var/data '{state}/var/in ner/data'")).replace('\n', " ")
}

fn subvolumes(host: &Host) -> usize {
    host.sh("btrfs subvolume list /var/lib/machines").lines().count()
}

fn state_with_generations(host: &Host) {
    host.install(bins());
    web(host, &with_snapshots("one\n"));

    // Other file systems are refused, and nothing is left.
    host.sh("mount -t tmpfs tmpfs /var/lib/machines");
    let refused = host.ctl(&["create", "web", "--flake", "/root/flake"]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(
        refused.stderr.contains("/var/lib/machines: is on tmpfs, not on btrfs, so no snapshots"),
        "{refused}"
    );
    assert!(!host.exists("/etc/nixos-nspawn/web.json"));
    host.sh("umount /var/lib/machines");

    host.mount_btrfs();
    host.create("web");
    assert_eq!(host.sh(&format!("stat -c %i {STATE}")).trim(), "256", "a subvolume");
    host.sh(&format!("btrfs subvolume create '{STATE}/var/in ner'"));
    fill(host, "one");

    // An update that restarts keeps the state with the previous generation.
    web(host, &with_snapshots("two\n"));
    let updated = host.ctl_ok(&["update", "web"]);
    let kept = snapshots(host, 1);
    assert_eq!(kept.len(), 1, "{updated}");
    assert!(updated.stdout.contains(&format!("its state before is kept in {}", kept[0])), "{updated}");
    assert!(kept[0].starts_with(&format!("{SNAPSHOTS}/1-")), "{kept:?}");
    assert_eq!((host.system_page("web"), snapshots(host, 2).len()), ("two\n".to_owned(), 0));
    fill(host, "two");
    assert_eq!(data(host, &kept[0]), "one one ");
    for path in ["var/new", "var/in ner/new"] {
        assert!(!host.run(&["touch", &format!("{}/{path}", kept[0])]).success(), "it is read-only");
    }
    let listed = host.ctl_ok(&["list-generations", "web"]).stdout;
    assert!(listed.lines().any(|line| line.starts_with("1 ") && line.contains("with state")), "{listed}");
    // machined neither lists nor cleans them.
    assert!(!host.ok(&["machinectl", "list-images", "--all"]).contains("nixos-nspawn"));
    host.ok(&["machinectl", "clean"]);
    assert_eq!(data(host, &kept[0]), "one one ");

    // Back with the state; the present one is kept.
    let planned = host.ctl_ok(&["rollback", "web", "--with-state", "--dry-run"]);
    assert!(planned.stdout.contains(&kept[0]) && planned.stdout.contains("would be replaced"), "{planned}");
    host.ctl_ok(&["rollback", "web", "--with-state"]);
    host.assert_agreed("web");
    assert_eq!((host.system_page("web"), data(host, STATE)), ("one\n".to_owned(), "one one ".to_owned()));
    host.inside("web", &["sh", "-c", "echo three > /var/data; echo three > '/var/in ner/data'"]);
    assert_eq!((data(host, &kept[0]), data(host, STATE)), ("one one ".to_owned(), "three three ".to_owned()));
    let later = snapshots(host, 2);
    assert_eq!(later.iter().map(|path| data(host, path)).collect::<Vec<_>>(), ["two two "]);
    assert!(!host.run(&["touch", &format!("{}/var/in ner/new", later[0])]).success(), "it is read-only");

    // A rollback that fails puts the state back, and keeps what the container wrote meanwhile.
    let before = (host.recorded("web"), subvolumes(host) + 2);
    let failed =
        host.ctl(&["rollback", "web", "--to", "2", "--with-state", "--check", "false", "--timeout", "3s"]);
    assert_eq!(failed.code(), 1, "{failed}");
    host.assert_agreed("web");
    assert_eq!((host.recorded("web"), subvolumes(host)), before, "{failed}");
    assert_eq!((host.system_page("web"), data(host, STATE)), ("one\n".to_owned(), "three three ".to_owned()));

    let copy = snapshots(host, 2)[1].clone();
    assert!(failed.stderr.contains(&format!("is kept in {copy}")), "{failed}");
    assert_eq!(data(host, &copy), "two two ");
    assert!(!host.run(&["touch", &format!("{copy}/var/in ner/new")]).success(), "it is read-only");
    host.sh(&format!("btrfs property set -t subvol {copy} ro false && echo other > {copy}/var/data"));
    host.sh(&format!("btrfs property set -t subvol {copy} ro true"));

    // One of a stopped container does not start it. It returns to the snapshot, not to that copy.
    host.ok(&["systemctl", "stop", &unit("web")]);
    host.ctl_ok(&["rollback", "web", "--to", "2", "--with-state"]);
    assert_eq!((host.state("web").as_str(), data(host, STATE).as_str()), ("inactive", "two two "));
    assert_eq!(host.generation("web"), 2);
    host.ok(&["systemctl", "start", &unit("web")]);
    host.assert_agreed("web");

    // An update that fails goes on with the present state, of which there is a snapshot; of one generation, three are kept.
    let first = snapshots(host, 2);
    for page in ["bad\n", "worse\n", "worst\n"] {
        // An old one that cannot be deleted does not matter.
        let last = page == "worst\n";
        if last {
            host.sh(&format!("btrfs subvolume set-default {}", first[0]));
        }
        web(host, &with_snapshots(page));
        let failed = host.ctl(&["update", "web", "--check", "false", "--timeout", "2s"]);
        assert_eq!(failed.code(), 1, "{failed}");
        assert_eq!(failed.stderr.contains("an old snapshot stays"), last, "{failed}");
    }
    host.assert_agreed("web");
    host.sh("btrfs subvolume set-default 5 /var/lib/machines");
    assert!(host.exists(&first[0]));
    // The next time it is. Without its directory, nothing is known of the profile.
    let profile = "/nix/var/nix/profiles/per-nspawn/web";
    host.sh(&format!("mv {profile} {profile}.away"));
    let refused = host.ctl(&["delete-generations", "web", "30d"]);
    host.sh(&format!("mv {profile}.away {profile}"));
    assert!(refused.code() == 10 && refused.stderr.contains("no snapshots are deleted"), "{refused}");
    let now = snapshots(host, 2);
    assert!(
        now.len() == 4 && now[0] == copy && !now.contains(&first[0]) && !host.exists(&first[0]),
        "{now:?}"
    );
    // With --keep, a failure before anything else has changed is undone all the same.
    let newest = snapshots(host, 1).pop().expect("a snapshot");
    host.sh(&format!("btrfs property set -t subvol {newest} ro false; mv {newest} {SNAPSHOTS}/away"));
    let failed = host.ctl(&["rollback", "web", "--to", "1", "--with-state", "--keep"]);
    host.sh(&format!("mv {SNAPSHOTS}/away {newest}; btrfs property set -t subvol {newest} ro true"));
    assert!(failed.code() != 0 && failed.stderr.contains("container 'web' was rolled back"), "{failed}");
    host.assert_agreed("web");
    assert_eq!((host.generation("web"), host.state("web").as_str()), (2, "active"));
    // Back to the state of the current generation.
    fill(host, "four");
    host.ctl_ok(&["rollback", "web", "--to", "2", "--with-state"]);
    assert_eq!((data(host, STATE).as_str(), host.generation("web")), ("two two ", 2));
    host.ctl_ok(&["rollback", "web", "--to", "1"]);
    let none = host.ctl(&["rollback", "web", "--to", "7", "--with-state"]);
    assert_eq!(none.code(), 3, "{none}");

    // Snapshots are deleted with their generation, and nothing else is.
    host.sh(&format!("btrfs subvolume create {SNAPSHOTS}/mine"));
    let of_one = snapshots(host, 1);
    let of_two = snapshots(host, 2);
    assert!(of_one.len() == 2 && of_two.len() == 5, "{of_one:?} {of_two:?}");
    // One was replaced by something else.
    host.sh(&format!(
        "btrfs property set -t subvol {0} ro false && btrfs subvolume delete '{0}/var/in ner' {0} && btrfs subvolume create {0}",
        of_two[0]
    ));
    let deleted = host.ctl_ok(&["delete-generations", "web", "2"]);
    assert!(deleted.stderr.contains(&format!("{}: is not the snapshot", of_two[0])), "{deleted}");
    assert!(host.exists(&of_two[0]) && of_two[1..].iter().all(|path| !host.exists(path)), "{deleted}");
    assert!(of_one.iter().all(|path| host.exists(path)), "{deleted}");

    // Without --delete-state, they stay.
    let removed = host.ctl_ok(&["remove", "web"]);
    assert!(removed.stdout.contains(&format!("{STATE} and {SNAPSHOTS}")), "{removed}");
    assert!(of_one.iter().all(|path| host.exists(path)), "{removed}");
    host.create("web");
    assert_eq!((data(host, STATE).as_str(), snapshots(host, 1).len()), ("two two ", 0));
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    let left = host.sh(&format!("ls -A /var/lib/machines; ls {SNAPSHOTS}"));
    let foreign = of_two[0].rsplit('/').next().expect("a name");
    assert_eq!(left, format!("nixos-nspawn.v\n{foreign}\nmine\n"));

    // A directory is no subvolume.
    host.sh(&format!("mkdir {STATE}"));
    let refused = host.ctl(&["create", "web", "--flake", "/root/flake"]);
    assert!(refused.code() == 10 && refused.stderr.contains("is a directory, not a subvolume"), "{refused}");
    // Nor does an update from a configuration without them work then.
    web(host, &dynamic("plain\n"));
    host.create("web");
    web(host, &with_snapshots("one\n"));
    let refused = host.ctl(&["update", "web"]);
    assert!(refused.code() == 10 && refused.stderr.contains("is a directory, not a subvolume"), "{refused}");
    host.assert_agreed("web");
    // The program that makes them is named if it is missing.
    host.sh(&format!("systemctl stop {} && rm -rf {STATE} && btrfs subvolume create {STATE}", unit("web")));
    let script = "mkdir /run/bin; for p in /usr/bin/* /usr/local/bin/*; do ln -sf $p /run/bin/; done; rm /run/bin/btrfs";
    host.sh(script);
    let missing = host.run(&["env", "PATH=/run/bin", "nixos-nspawn", "update", "web"]);
    assert!(missing.code() == 10 && missing.stderr.contains("install btrfs-progs"), "{missing}");
}

/// While a snapshot is made, nothing can start the container and write to its state.
fn starts_during_a_snapshot(host: &Host) {
    host.install(bins());
    host.mount_btrfs();
    web(host, &with_snapshots("one\n"));
    host.create("web");
    host.sh(&format!("mkdir -p '{STATE}/var/in ner'"));
    fill(host, "one");
    // btrfs waits before it makes the snapshot.
    host.write(
        "/usr/local/sbin/btrfs",
        "#!/bin/sh\ncase $*-$# in subvolume\\ snapshot*)\n  touch /run/there; while [ ! -e /run/go ]; do sleep 0.1; done;;\nesac\n\
         exec /usr/bin/btrfs \"$@\"\n",
        0o755,
    );
    web(host, &with_snapshots("two\n"));
    host.sh("systemd-run --quiet --unit=updating --property=Type=exec -p Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin nixos-nspawn update web");
    host.wait_until("the snapshot is due", || host.exists("/run/there"));
    let started = host.run(&["systemctl", "start", &unit("web")]);
    assert!(!started.success(), "it was started: {started}{}", host.journal(60));
    assert_ne!(host.state("web"), "active");
    // Another command waits, or says who works.
    host.sh("systemd-run --quiet --unit=rolling-back nixos-nspawn rollback web; sleep 1");
    assert_ne!(host.state("web"), "active");
    host.sh("touch /run/go");
    host.wait_until("the update is done", || {
        host.sh("systemctl is-active updating || true").trim() != "active"
    });
    host.wait_until("the rollback is done", || {
        host.sh("systemctl is-active rolling-back || true").trim() != "active"
    });
    // The rollback came after the update.
    assert_eq!(host.system_page("web"), "one\n");
    let kept = snapshots(host, 1);
    assert_eq!(kept.len(), 1, "{}", host.journal(60));
    assert_eq!(data(host, &kept[0]), "one one ");
    host.assert_agreed("web");

    // What somebody runs on the state without a unit keeps it from being deleted.
    host.sh(&format!(
        "systemctl stop {}; systemd-run --quiet --unit=by-hand -p Environment=SYSTEMD_NSPAWN_CHECK_OS_RELEASE=0 \
         systemd-nspawn -q -M by-hand -D {STATE} --bind-ro=/usr/bin/busybox:/busybox /busybox sleep 1000",
        unit("web")
    ));
    host.wait_until("it runs", || host.run(&["machinectl", "show", "by-hand"]).success());
    let refused = host.ctl(&["remove", "web", "--delete-state"]);
    assert!(
        !refused.success() && refused.stderr.contains("is in use, so the state was not deleted"),
        "{refused}"
    );
    assert_eq!(data(host, STATE), "one one ");
    host.sh("systemctl stop by-hand");
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert!(!host.exists(STATE));
}
