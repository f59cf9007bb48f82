//! Commands on a throwaway host with 10 to 10,000 stopped containers, whose intents are written by hand and name one
//! system.

use std::collections::BTreeMap;

use nixos_nspawn_tests::host::{Host, Suite, bins, dynamic};
use serde_json::json;

use crate::tools::Tools;
use crate::turns::{ALTERNATE, Taken, Turns};

/// Numbers of containers, and of rounds. With the last, only the commands that read are run.
const SIZES: [(usize, u32); 4] = [(10, 15), (100, 15), (1000, 9), (10_000, 3)];

const CTL: &str = "/usr/local/bin/nixos-nspawn";

/// The commands that only read, or have nothing to do.
const READING: [(&str, &[&str]); 8] = [
    ("list", &[CTL, "list"]),
    ("list --json", &[CTL, "list", "--json"]),
    ("status", &[CTL, "status"]),
    ("show NAME", &[CTL, "show", "c5"]),
    ("status NAME", &[CTL, "status", "c5"]),
    ("enable NAME, enabled", &[CTL, "enable", "own"]),
    ("pin NAME, pinned", &[CTL, "pin", "own"]),
    ("generator", &["/usr/local/lib/systemd/system-generators/nixos-nspawn-generator", "/tmp/out"]),
];

/// The commands that change a container, and reload systemd once.
const CHANGING: [&str; 4] = ["create", "update", "rollback", "enable NAME"];

/// Measures and prints all sizes.
pub(crate) fn scale(tools: &Tools) {
    let host = Host::boot_on_disk(Suite::Forky);
    host.install(bins());
    host.copy_in(&tools.alternate, ALTERNATE, 0o755);
    host.own(&json!({"own": dynamic("one\n"), "other": dynamic("two\n")}));
    for name in ["own", "other"] {
        host.ctl_ok(&["create", name, "--flake", "/root/flake", "--no-start"]);
    }
    let intent = host.file("/etc/nixos-nspawn/own.json");
    host.ctl_ok(&["enable", "own"]);
    host.ctl_ok(&["pin", "own"]);
    let mut before: BTreeMap<usize, BTreeMap<String, Taken>> = BTreeMap::new();
    for (count, rounds) in SIZES {
        fill(&host, &intent, count, false);
        let taken = round(&host, rounds, count < 10_000);
        print(&format!("{count} stopped containers"), &taken, &before);
        before.insert(count, taken);
    }
    fill(&host, &intent, 1000, true);
    let taken = round(&host, 9, true);
    print("1000 stopped containers that start with the host", &taken, &before);
}

/// Writes intents for `count` containers, and reloads.
fn fill(host: &Host, intent: &str, count: usize, autostart: bool) {
    let intent: serde_json::Value = serde_json::from_str(intent).expect("an intent");
    let text = json!({
        "version": 1,
        "toplevel": intent["toplevel"],
        "autostart": autostart,
        "container": {
            "forwardPorts": [],
            "bindMounts": ["/srv/data:/srv/data"],
            "userNamespacing": true,
            "memoryMax": "2G",
            "activation": { "strategy": "dynamic" },
        },
    });
    let folder = host.directory().join("root/etc/nixos-nspawn");
    for number in 3..=10_000 {
        let path = folder.join(format!("c{number}.json"));
        if number <= count {
            std::fs::write(path, text.to_string()).expect("written");
        } else {
            let _ = std::fs::remove_file(path);
        }
    }
    host.sh("systemctl daemon-reload");
}

fn round(host: &Host, rounds: u32, changing: bool) -> BTreeMap<String, Taken> {
    let mut turns = Turns::default();
    turns.add("machinectl list", &["/usr/bin/machinectl", "list"]);
    for (label, words) in READING {
        if label == "generator" {
            turns.prepare("rm -rf /tmp/out; mkdir /tmp/out");
        }
        turns.add(label, words);
    }
    turns.add("daemon-reload", &["/usr/bin/systemctl", "daemon-reload"]);
    if changing {
        let profile = |name: &str| {
            host.sh(&format!("readlink -f /nix/var/nix/profiles/per-nspawn/{name}/system")).trim().to_owned()
        };
        let (one, two) = (profile("own"), profile("other"));
        turns.add("create", &[CTL, "create", "new", "--profile", &one, "--no-start"]);
        turns.add("update", &[CTL, "update", "own", "--profile", &two]);
        turns.add("rollback", &[CTL, "rollback", "own"]);
        turns.prepare(&format!(
            "{CTL} remove new --delete-state; {CTL} delete-generations own old; {CTL} disable own"
        ));
        turns.add("enable NAME", &[CTL, "enable", "own"]);
    }
    turns.run(host, rounds)
}

fn print(title: &str, taken: &BTreeMap<String, Taken>, before: &BTreeMap<usize, BTreeMap<String, Taken>>) {
    let machinectl = taken["machinectl list"].time;
    let reload = taken["daemon-reload"].time;
    println!(
        "\n{title:<44} {:>9} {:>12} {:>9} {:>9} {:>9}",
        "ms", "x machinectl", "cpu ms", "PID 1 ms", "x at 10"
    );
    let line = |label: &str, shown: &str, less: f64| {
        let Some(one) = taken.get(label) else { return };
        let (time, few) = (
            one.time - less,
            before.get(&10).and_then(|all| Some((all.get(label)?, all.get("daemon-reload")?))),
        );
        let ratio = few.map(|(few, reload)| time / (few.time - if less > 0.0 { reload.time } else { 0.0 }));
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!(
            "{shown:<44} {time:>9.1} {:>12.2} {:>9.1} {:>9.1} {ratio:>9}",
            time / machinectl,
            one.processor,
            one.manager
        );
    };
    line("machinectl list", "machinectl list", 0.0);
    READING.iter().for_each(|(label, _)| line(label, label, 0.0));
    line("daemon-reload", "systemctl daemon-reload", 0.0);
    for label in CHANGING {
        line(label, label, 0.0);
        line(label, &format!("{label}, less one daemon-reload"), reload);
    }
}
