//! Kills and interrupts commands at their system calls, makes calls fail, and exits with 1 if anything was lost or no
//! fault was injected.
//!
//! NIXOS_NSPAWN_TORTURE_EVERY and _FROM select the calls on booted hosts (every 12th, starting with the first),
//! NIXOS_NSPAWN_TORTURE_SECONDS is the duration of a storm (120), NIXOS_NSPAWN_TORTURE_SUITES selects the hosts
//! (trixie,forky), NIXOS_NSPAWN_TORTURE_VERBS the commands (all), and NIXOS_NSPAWN_TORTURE_FAULTS the faults on booted
//! hosts (SIGKILL,SIGTERM,SIGINT,EAGAIN). Unknown words are refused with status 2. NIXOS_NSPAWN_TORTURE_LIGHT makes the
//! containers small, which takes less time and leaves out reloads.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nixos_nspawn_tests::host::{Host, Suite};
use nixos_nspawn_tests::torture::choice::chosen;
use nixos_nspawn_tests::torture::fault::Fault;
use nixos_nspawn_tests::torture::kills::{Calls, fault, prepare};
use nixos_nspawn_tests::torture::offline::{self, Density};
use nixos_nspawn_tests::torture::verbs::{Verb, is_light};
use nixos_nspawn_tests::torture::{Counts, generator, setup, storm};

/// What is tested besides the commands on booted hosts.
const OTHERS: [&str; 5] = ["offline", "generator", "creates", "storm", "setup"];

/// The faults on booted hosts, and whether each is injected at every fifth of the chosen calls.
const FAULTS: [(&str, Fault, bool); 4] = [
    ("SIGKILL", Fault::Signal("SIGKILL"), false),
    ("SIGTERM", Fault::Signal("SIGTERM"), true),
    ("SIGINT", Fault::Signal("SIGINT"), true),
    ("EAGAIN", Fault::Error("EAGAIN"), false),
];

fn main() -> ExitCode {
    let verbs = Verb::ALL.iter().map(|verb| format!("{verb:?}"));
    let parts: Vec<String> = OTHERS.iter().map(|word| (*word).to_owned()).chain(verbs).collect();
    let suites = Suite::ALL.map(|suite| suite.name().to_owned());
    let chosen = words("NIXOS_NSPAWN_TORTURE_VERBS", &parts)
        .and_then(|parts| Ok((parts, words("NIXOS_NSPAWN_TORTURE_SUITES", &suites)?)))
        .and_then(|(parts, suites)| {
            let faults = FAULTS.map(|(word, ..)| word.to_owned());
            Ok((parts, suites, words("NIXOS_NSPAWN_TORTURE_FAULTS", &faults)?))
        });
    match chosen {
        Ok((parts, suites, faults)) => run(&parts, &suites, &faults),
        Err(wrong) => {
            eprintln!("torture: {wrong}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was chosen.
fn run(parts: &[String], suites: &[String], faults: &[String]) -> ExitCode {
    let has = |part: &str| parts.iter().any(|one| one == part);
    let begun = Instant::now();
    let mut all = Counts::default();
    let mut done = |what: &str, counts: Counts| {
        println!("{:>4} s  {what}: {counts}", begun.elapsed().as_secs());
        for wrong in &counts.wrong {
            println!("wrong: {wrong}");
        }
        all.add(counts);
    };
    if has("offline") {
        for case in offline::cases() {
            let counts = offline::run(&case, Density { signals: 5, errors: 1 });
            done(&format!("below --root, {}", case.words.join(" ")), counts);
        }
    }
    if has("generator") {
        done("generator", generator::run(1));
    }
    let from = number("NIXOS_NSPAWN_TORTURE_FROM", 0);
    let every = number("NIXOS_NSPAWN_TORTURE_EVERY", 12).max(1);
    for suite in Suite::ALL.into_iter().filter(|suite| suites.iter().any(|one| one == suite.name())) {
        let host = Host::boot_on_disk(suite);
        let live = prepare(&host);
        if has("creates") {
            done(&format!("systemd {}, creates at once", host.systemd()), storm::creates(&host, 30, 20));
        }
        if has("storm") {
            let time = Duration::from_secs(number("NIXOS_NSPAWN_TORTURE_SECONDS", 120) as u64);
            done(&format!("systemd {}, storm", host.systemd()), storm::random(&host, time));
        }
        let calls = Calls::Each { from, every };
        let rarely = Calls::Each { from, every: every * 5 };
        let chosen = FAULTS.into_iter().filter(|(word, ..)| faults.iter().any(|one| one == word));
        for (_, injected, rare) in chosen {
            let calls = if rare { rarely } else { calls };
            let verbs = Verb::ALL.into_iter().filter(|verb| has(&format!("{verb:?}")));
            for verb in verbs.filter(|verb| !is_light() || *verb != Verb::UpdateByReload) {
                let counts = fault(&live, verb, calls, injected);
                done(&format!("systemd {}, {verb:?}, {injected:?}", host.systemd()), counts);
            }
            if has("setup") {
                let counts = setup::fault(&live, calls, injected);
                done(&format!("systemd {}, setup, {injected:?}", host.systemd()), counts);
            }
        }
    }
    println!("{:>4} s  all: {all}", begun.elapsed().as_secs());
    // Creates at once are not interrupted.
    if all.faults() == 0 && parts != ["creates"] {
        println!("wrong: no fault was injected");
        return ExitCode::FAILURE;
    }
    if all.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns a number from the environment.
fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Returns the words that a list in the environment chooses.
fn words(name: &str, known: &[String]) -> Result<Vec<String>, String> {
    chosen(name, std::env::var(name).ok().as_deref(), known)
}
