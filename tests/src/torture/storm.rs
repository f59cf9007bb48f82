//! Storms: parallel random commands on a few containers, each killed at a random moment while the garbage
//! collector runs, and parallel `create` commands with different names and with the same one.

use std::thread;
use std::time::{Duration, Instant};

use super::counts::Counts;
use super::kills::disagreements;
use super::verbs::new_pages;
use crate::host::{FLAKE, Host};

/// The containers of a storm.
const NAMES: [&str; 3] = ["t0", "t1", "calm"];

/// Pseudo-random numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64 (Marsaglia)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Runs a command, and kills it if it still runs after some milliseconds.
fn killed_after(host: &Host, milliseconds: u64, words: &[&str]) -> bool {
    let seconds = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    let all = [&["timeout", "--signal=KILL", &seconds, "nixos-nspawn"], words].concat();
    host.run_with(&all, None, Duration::from_secs(200)).code() == 137
}

/// Runs random commands for some time.
pub fn random(host: &Host, time: Duration) -> Counts {
    let end = Instant::now() + time;
    let mut counts = Counts::default();
    let kills: Vec<usize> = thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while Instant::now() < end {
                host.run_with(&["nix-store", "--gc"], None, Duration::from_secs(200));
                thread::sleep(Duration::from_secs(3));
            }
            0
        });
        let threads = NAMES.iter().enumerate().map(|(at, name)| {
            scope.spawn(move || {
                let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (at as u64 + 1));
                let mut kills = 0;
                while Instant::now() < end {
                    let words: &[&str] = match numbers.below(8) {
                        0 => &["create", name, "--flake", FLAKE],
                        1 => &["remove", name],
                        2 => &["remove", name, "--delete-state"],
                        3 => &["enable", name],
                        4 => &["rollback", name],
                        5 => &["activate", name],
                        6 => &["update", name, "--strategy", "restart"],
                        _ => {
                            new_pages(host, &format!("{} of {name}\n", numbers.below(1000)));
                            &["update", name]
                        }
                    };
                    kills += usize::from(killed_after(host, 50 + numbers.below(4000), words));
                }
                kills
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().chain([collector]).map(|one| one.join().expect("a storm")).collect()
    });
    counts.kills = kills.iter().sum();
    let settled = host.ctl(&["enable", "stopped"]);
    if !settled.success() {
        counts.wrong.push(format!("behind a storm, the next command fails: {settled}"));
    }
    // A container may be disabled, or stopped after a killed `activate`.
    host.ctl(&["autostart"]);
    counts
        .wrong
        .extend(disagreements(host, &NAMES).into_iter().map(|line| format!("behind a storm: {line}")));
    for name in NAMES {
        let words: &[&str] = match host.exists(&format!("/etc/nixos-nspawn/{name}.json")) {
            true => &["update", name],
            false => &["create", name, "--flake", FLAKE],
        };
        let next = host.ctl(words);
        if !next.success() {
            counts.wrong.push(format!("behind a storm: {next}"));
        }
    }
    counts.wrong.extend(disagreements(host, &NAMES).into_iter().map(|line| format!("at last: {line}")));
    counts
}

/// Creates many containers in parallel, and one container with many commands, exactly one of which must succeed.
pub fn creates(host: &Host, different: usize, same: usize) -> Counts {
    let names: Vec<String> = (0..different).map(|at| format!("many-{at}")).collect();
    let mut containers: Vec<String> =
        names.iter().chain(&["one".to_owned()]).map(|name| format!("\"{name}\":{{}}")).collect();
    containers.sort();
    host.own_text(&format!("{{{}}}", containers.join(",")));
    let mut counts = Counts::default();
    let create = |name: &str| {
        let words = ["nixos-nspawn", "create", name, "--flake", FLAKE, "--no-start"];
        host.run_with(&words, None, Duration::from_secs(600))
    };
    let all: Vec<&str> = names.iter().map(String::as_str).chain((0..same).map(|_| "one")).collect();
    let outputs: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = all.iter().map(|name| (name, scope.spawn(|| create(name)))).collect();
        running.into_iter().map(|(name, one)| (*name, one.join().expect("a create"))).collect()
    });
    for (name, output) in outputs.iter().filter(|(name, output)| *name != "one" && !output.success()) {
        counts.wrong.push(format!("{name} at once with others: {output}"));
    }
    let good = outputs.iter().filter(|(name, output)| *name == "one" && output.success()).count();
    if good != usize::from(same > 0) {
        counts.wrong.push(format!("{good} of {same} creates of one name succeed"));
    }
    for (_, output) in outputs.iter().filter(|(name, output)| *name == "one" && !output.success()) {
        if output.code() != 10 {
            counts.wrong.push(format!("a name that is taken: {output}"));
        }
    }
    for name in names.iter().map(String::as_str).chain((same > 0).then_some("one")) {
        let removed = host.ctl(&["remove", name, "--delete-state"]);
        if !removed.success() {
            counts.wrong.push(format!("{removed}"));
        }
    }
    counts
}
