//! File systems without room, one after the other: of intents, of Nix, of the containers' state, and /run. A command may fail
//! there, and says where; nothing is lost, and once there is room, the next command repairs what is left.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::torture::kills::disagreements;
use pretty_assertions::assert_eq;
use serde_json::{Map, Value};

on_both_hosts!(no_room);

/// The containers that commands are about, besides `fresh`, and those that must not change.
const CHANGED: [&str; 3] = ["web", "back", "gone"];
const OTHERS: [&str; 2] = ["calm", "stopped"];

/// A file system, how it is filled, and how it is emptied.
struct Place {
    path: &'static str,
    fill: &'static str,
    empty: &'static str,
    /// The commands that cannot succeed there.
    fails: &'static [&'static str],
}

const PLACES: [Place; 5] = [
    Place {
        path: "/etc/nixos-nspawn",
        fill: "dd if=/dev/zero of=/etc/nixos-nspawn/.full bs=4k 2> /dev/null || :",
        empty: "rm /etc/nixos-nspawn/.full",
        // A removal needs no room.
        fails: &["create", "update", "rollback"],
    },
    Place {
        path: "/nix",
        fill: "dd if=/dev/zero of=/nix/.full bs=4k 2> /dev/null || :",
        empty: "rm /nix/.full",
        // A rollback needs a few blocks for its links, which may be there.
        fails: &["create", "update"],
    },
    Place {
        path: "/var/lib/machines",
        fill: "dd if=/dev/zero of=/var/lib/machines/.full bs=4k 2> /dev/null || :",
        empty: "rm /var/lib/machines/.full",
        fails: &["create"],
    },
    Place {
        path: "/run",
        fill: "mount -o remount,size=$(df --output=used /run | tail -n 1 | tr -d ' ')k /run",
        empty: "mount -o remount,size=512M /run",
        fails: &["create", "update", "rollback", "remove"],
    },
    // Enough for locks, but not for the units.
    Place {
        path: "/run",
        fill: "mount -o remount,size=$(($(df --output=used /run | tail -n 1) + 24))k /run",
        empty: "mount -o remount,size=512M /run",
        fails: &[],
    },
];

/// Each place has a file system of its own.
const MOUNTS: &str = r#"
    mkdir -p /etc/nixos-nspawn /var/lib/machines
    mount -t tmpfs -o size=1M,mode=755 tmpfs /etc/nixos-nspawn
    for place in /nix /var/lib/machines; do
        image=/var/$(basename $place).img
        truncate -s 64M $image
        mke2fs -q -t ext4 -m 0 -d $place $image
        for try in 1 2 3 4 5; do mount -o loop $image $place && break; sleep 0.3; done
        mountpoint -q $place
    done"#;

fn no_room(host: &Host) {
    host.make_loop_devices();
    host.sh(MOUNTS);
    host.install(bins());
    own(host, "first\n");
    for name in CHANGED.iter().chain(&OTHERS) {
        host.create(name);
    }
    own(host, "second\n");
    host.ctl_ok(&["update", "back"]);
    for (at, place) in PLACES.iter().enumerate() {
        own(host, &format!("{at}\n"));
        let calm = host.nspawn("calm");
        host.sh(place.fill);
        let full = format!("head -c 64k /dev/zero > {}/.more", place.path);
        assert!(!host.run(&["sh", "-c", &full]).success(), "{}: has room", place.path);
        host.sh(&format!("rm -f {}/.more", place.path));
        let other = if host.generation("back") == 1 { "2" } else { "1" };
        let commands: [&[&str]; 4] = [
            &["create", "fresh", "--flake", FLAKE],
            &["update", "web", "--strategy", "restart"],
            &["rollback", "back", "--to", other],
            &["remove", "gone"],
        ];
        for words in commands {
            let output = host.ctl(words);
            eprintln!("{}: {output}", place.path);
            assert!(!output.success() || !place.fails.contains(&words[0]), "{}: {output}", place.path);
            assert!(
                output.success() || output.stderr.contains(place.path),
                "does not name {}: {output}",
                place.path
            );
            assert!(!output.stderr.contains("panicked"), "{output}");
        }
        host.sh(place.empty);
        let settled = host.ctl_ok(&["enable", "stopped"]);
        // Neither the new generation nor the old one may have had room to start.
        if place.fails.is_empty() {
            host.ctl_ok(&["autostart"]);
        }
        let names: Vec<&str> = ["fresh"].into_iter().chain(CHANGED).chain(OTHERS).collect();
        assert_eq!(disagreements(host, &names), [""; 0], "{}: {settled}", place.path);
        assert_eq!(host.nspawn("calm"), calm, "{}: a container was restarted", place.path);
        for words in commands {
            let done = words[0] == "create" && host.exists("/etc/nixos-nspawn/fresh.json");
            assert!(done || host.ctl(words).success(), "{}: {words:?}", place.path);
        }
        host.ctl_ok(&["remove", "fresh", "--delete-state"]);
        host.create("gone");
        assert_eq!(disagreements(host, &names), [""; 0], "{}", place.path);
    }
}

fn own(host: &Host, page: &str) {
    let names = ["fresh"].into_iter().chain(CHANGED).chain(OTHERS);
    let all: Map<String, Value> = names.map(|name| (name.to_owned(), dynamic(page))).collect();
    host.own(&Value::Object(all));
}
