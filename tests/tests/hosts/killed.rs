//! A sample of `make torture` on booted hosts: commands killed at arbitrary system calls.

use nixos_nspawn_tests::host::Host;
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::torture::Counts;
use nixos_nspawn_tests::torture::fault::{Fault, Point};
use nixos_nspawn_tests::torture::kills::{Calls, disagreements, fault, prepare};
use nixos_nspawn_tests::torture::live::Live;
use nixos_nspawn_tests::torture::verbs::{Verb, new_pages};

on_both_hosts!(commands_killed_at_system_calls);

fn commands_killed_at_system_calls(host: &Host) {
    let live = prepare(host);
    let mut counts = Counts::default();
    for verb in Verb::ALL {
        let calls = match verb {
            Verb::Enable
            | Verb::Pin
            | Verb::DeleteGenerations
            | Verb::Activate
            | Verb::UpdateByReload
            | Verb::Rename
            | Verb::Clone
            | Verb::ImportArchive => 2,
            _ => 4,
        };
        let of_verb = fault(&live, verb, Calls::Spread(calls), Fault::Signal("SIGKILL"));
        eprintln!("systemd {}, {verb:?}: {of_verb}", host.systemd());
        assert!(of_verb.kills > 0 || !of_verb.wrong.is_empty(), "{verb:?} is never killed: {of_verb}");
        counts.add(of_verb);
    }
    // Processes and threads cannot be created, and a signal that the program handles.
    for injected in [Fault::Error("EAGAIN"), Fault::Signal("SIGTERM")] {
        counts.add(fault(&live, Verb::UpdateByRestart, Calls::Spread(4), injected));
    }
    without_threads(&live);
    eprintln!("systemd {}: {counts}", host.systemd());
    counts.assert_nothing_wrong();
    assert!(counts.kills >= 24 && counts.errors > 0 && counts.signals > 0, "too few faults: {counts}");
    assert!(counts.missed * 5 < counts.faults(), "too few faults are injected: {counts}");
}

/// Updates at the same time have a thread each.
fn without_threads(live: &Live) {
    let update = ["update", "t0", "t1", "--jobs", "2", "--parallel-activation"];
    let changed = |page: &str| {
        for name in
            ["t0", "t1"].iter().filter(|name| !live.host.exists(&format!("/etc/nixos-nspawn/{name}.json")))
        {
            live.host.create(name);
        }
        new_pages(live.host, page);
    };
    changed("with threads\n");
    let threads = live.points(&update).into_iter().filter(|point| point.shown.contains("CLONE_THREAD"));
    let threads: Vec<Point> = threads.collect();
    assert!(!threads.is_empty(), "an update of two has no thread");
    for point in threads {
        changed(&format!("without thread {}\n", point.nth));
        let (output, injected) = live.faulted(&update, &point, Fault::Error("EAGAIN"));
        assert!(injected && output.code() != 101 && !output.stderr.contains("panicked"), "{output}");
        live.host.ctl_ok(&["update", "t0", "t1"]);
        assert_eq!(disagreements(live.host, &["t0", "t1"]), [""; 0], "{output}");
    }
}
