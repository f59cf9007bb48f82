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
        let every = if verb == Verb::Enable { 15 } else { 45 };
        let of_verb = fault(&live, verb, Calls { from: 17, every }, Fault::Signal("SIGKILL"));
        eprintln!("systemd {}, {verb:?}: {of_verb}", host.systemd());
        counts.add(of_verb);
    }
    // Processes and threads cannot be created, and a signal that the program handles.
    for (injected, from) in [(Fault::Error("EAGAIN"), 3), (Fault::Signal("SIGTERM"), 70)] {
        counts.add(fault(&live, Verb::UpdateByRestart, Calls { from, every: 12 }, injected));
    }
    eprintln!("systemd {}: {counts}", host.systemd());
    counts.assert_nothing_wrong();
    assert!(counts.kills >= 15, "too few kills: {counts}");
}
