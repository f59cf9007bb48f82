//! A sample of `make torture` on booted hosts: commands killed at arbitrary system calls.

use nixos_nspawn_tests::host::Host;
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::torture::Counts;
use nixos_nspawn_tests::torture::fault::Fault;
use nixos_nspawn_tests::torture::kills::{Calls, fault, prepare};
use nixos_nspawn_tests::torture::verbs::Verb;

on_both_hosts!(commands_killed_at_system_calls);

fn commands_killed_at_system_calls(host: &Host) {
    let live = prepare(host);
    let mut counts = Counts::default();
    for verb in Verb::ALL {
        let calls = match verb {
            Verb::Enable | Verb::Pin | Verb::DeleteGenerations | Verb::Activate | Verb::UpdateByReload => 2,
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
    eprintln!("systemd {}: {counts}", host.systemd());
    counts.assert_nothing_wrong();
    assert!(counts.kills >= 24 && counts.errors > 0 && counts.signals > 0, "too few faults: {counts}");
    assert!(counts.missed * 5 < counts.faults(), "too few faults are injected: {counts}");
}
