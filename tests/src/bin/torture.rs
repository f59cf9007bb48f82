//! Kills and interrupts commands at their system calls, makes calls fail, and exits with 1 if anything was lost.
//!
//! NIXOS_NSPAWN_TORTURE_EVERY and _FROM select the calls on booted hosts (every 12th, starting with the first),
//! NIXOS_NSPAWN_TORTURE_SECONDS is the duration of a storm (120), NIXOS_NSPAWN_TORTURE_SUITES selects the hosts
//! (trixie,forky), and NIXOS_NSPAWN_TORTURE_VERBS the commands (all).

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nixos_nspawn_tests::host::{Host, Suite};
use nixos_nspawn_tests::torture::fault::Fault;
use nixos_nspawn_tests::torture::kills::{Calls, fault, prepare};
use nixos_nspawn_tests::torture::offline::{self, Density};
use nixos_nspawn_tests::torture::verbs::Verb;
use nixos_nspawn_tests::torture::{Counts, generator, storm};

fn main() -> ExitCode {
    let begun = Instant::now();
    let mut all = Counts::default();
    let mut done = |what: &str, counts: Counts| {
        println!("{:>4} s  {what}: {counts}", begun.elapsed().as_secs());
        for wrong in &counts.wrong {
            println!("wrong: {wrong}");
        }
        all.add(counts);
    };
    if chosen("NIXOS_NSPAWN_TORTURE_VERBS", "offline") {
        for case in offline::cases() {
            let counts = offline::run(&case, Density { signals: 5, errors: 1 });
            done(&format!("below --root, {}", case.words.join(" ")), counts);
        }
    }
    if chosen("NIXOS_NSPAWN_TORTURE_VERBS", "generator") {
        done("generator", generator::run(1));
    }
    let calls = Calls {
        from: number("NIXOS_NSPAWN_TORTURE_FROM", 0),
        every: number("NIXOS_NSPAWN_TORTURE_EVERY", 12).max(1),
    };
    for suite in Suite::ALL.into_iter().filter(|suite| chosen("NIXOS_NSPAWN_TORTURE_SUITES", suite.name())) {
        let host = Host::boot(suite);
        let live = prepare(&host);
        if chosen("NIXOS_NSPAWN_TORTURE_VERBS", "creates") {
            done(&format!("systemd {}, creates at once", host.systemd()), storm::creates(&host, 30, 20));
        }
        if chosen("NIXOS_NSPAWN_TORTURE_VERBS", "storm") {
            let time = Duration::from_secs(number("NIXOS_NSPAWN_TORTURE_SECONDS", 120) as u64);
            done(&format!("systemd {}, storm", host.systemd()), storm::random(&host, time));
        }
        for verb in
            Verb::ALL.into_iter().filter(|verb| chosen("NIXOS_NSPAWN_TORTURE_VERBS", &format!("{verb:?}")))
        {
            let rarely = Calls { every: calls.every * 5, ..calls };
            for (injected, calls) in [
                (Fault::Signal("SIGKILL"), calls),
                (Fault::Signal("SIGTERM"), rarely),
                (Fault::Signal("SIGINT"), rarely),
                (Fault::Error("EAGAIN"), calls),
            ] {
                let counts = fault(&live, verb, calls, injected);
                done(&format!("systemd {}, {verb:?}, {injected:?}", host.systemd()), counts);
            }
        }
    }
    println!("{:>4} s  all: {all}", begun.elapsed().as_secs());
    if all.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns a number from the environment.
fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Returns whether a list in the environment contains `word`, or is not set.
fn chosen(name: &str, word: &str) -> bool {
    std::env::var(name).map_or(true, |text| text.split(',').any(|one| one.eq_ignore_ascii_case(word)))
}
