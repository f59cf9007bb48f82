//! Kills commands at their system calls on a running host. After a command about another container, all that
//! agreement.sh compares must agree, and the killed command must succeed when it is repeated.

use std::thread;
use std::time::Duration;

use super::counts::Counts;
use super::fault::{Fault, Point};
use super::live::Live;
use super::verbs::{NAMES, OTHERS, Verb, new_pages};
use crate::host::{Host, bins};

/// The calls of a command at which faults are injected.
#[derive(Clone, Copy, Debug)]
pub enum Calls {
    /// The call of this number, from 0, and later ones.
    Each {
        /// The first call.
        from: usize,
        /// The distance to the next call.
        every: usize,
    },
    /// So many calls, at equal distances.
    Spread(usize),
}

impl Calls {
    /// Returns the chosen items.
    pub fn choose<T: Clone>(self, all: &[T]) -> Vec<T> {
        match self {
            Self::Each { from, every } => all.iter().skip(from).step_by(every).cloned().collect(),
            Self::Spread(count) if count >= all.len() => all.to_vec(),
            Self::Spread(count) => {
                (0..count).map(|at| all[(2 * at + 1) * all.len() / (2 * count)].clone()).collect()
            }
        }
    }
}

/// Installs the programs and creates the containers.
pub fn prepare(host: &Host) -> Live<'_> {
    host.install(bins());
    new_pages(host, "first\n");
    for name in NAMES.iter().chain(&OTHERS) {
        host.create(name);
    }
    Live::new(host)
}

/// The script that prints disagreements about the containers named as its arguments.
pub const AGREEMENT: &str = include_str!("agreement.sh");

/// Returns the disagreements between the containers' files and PID 1.
pub fn disagreements(host: &Host, names: &[&str]) -> Vec<String> {
    let mut words = vec!["sh", "-c", AGREEMENT, "sh"];
    words.extend(names);
    let output = host.run(&words);
    output.stdout.lines().chain(output.stderr.lines()).map(str::to_owned).collect()
}

/// Returns the points at which a fault is injected: of errors, those that start processes or threads.
pub(super) fn chosen(points: Vec<Point>, calls: Calls, fault: Fault) -> Vec<Point> {
    let takes = |point: &Point| matches!(fault, Fault::Signal(_)) || point.call.starts_with("clone");
    calls.choose(&points.into_iter().filter(takes).collect::<Vec<_>>())
}

/// Injects faults at the calls of a command: signals at all of them, errors at those that start processes or
/// threads.
pub fn fault(live: &Live, verb: Verb, calls: Calls, fault: Fault) -> Counts {
    let host = live.host;
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let mut round = 0;
    let words = verb.prepare(host, &names[..1], round);
    let of_first: Vec<&str> = words[0].iter().map(String::as_str).collect();
    let chosen = chosen(live.points(&of_first), calls, fault);
    let mut counts = Counts::default();
    let calm = host.nspawn("calm");
    for points in chosen.chunks(NAMES.len()) {
        round += 1;
        let seen = counts.wrong.len();
        let names = &names[..points.len()];
        let words = verb.prepare(host, names, round);
        let mut wrong = Vec::new();
        let places: Vec<String> =
            points.iter().map(|point| format!("{} {}", point.call, point.nth)).collect();
        let killed = thread::scope(|scope| {
            let running: Vec<_> = words
                .iter()
                .zip(points)
                .map(|(words, point)| {
                    scope.spawn(move || {
                        let words: Vec<&str> = words.iter().map(String::as_str).collect();
                        live.faulted(&words, point, fault)
                    })
                })
                .collect();
            running.into_iter().map(|one| one.join().expect("a command")).collect::<Vec<_>>()
        });
        for (output, injected) in &killed {
            counts.count(fault, *injected, output.code() == 137);
            if output.code() == 101 || output.stderr.contains("panicked") {
                wrong.push("a panic".to_owned());
            }
        }
        // A build that outlives its command holds the lock, and what it leaves is settled after that.
        let free = r#"for name; do flock --timeout 110 "/run/nixos-nspawn/$name.lock" true; done"#;
        let all_names = verb.names(names);
        let wait: Vec<&str> = all_names.iter().map(String::as_str).collect();
        host.run_with(&[&["sh", "-c", free, "sh"], &wait[..]].concat(), None, Duration::from_secs(600));
        let settled = host.ctl(&["enable", "stopped"]);
        if !settled.success() {
            wrong.push(format!("the next command fails: {settled}"));
        }
        let looked_at: Vec<&str> = wait.iter().copied().chain(OTHERS).collect();
        let mut found = disagreements(host, &looked_at);
        found.retain(|line| !verb.leaves(line));
        wrong.extend(found);
        if host.nspawn("calm") != calm {
            wrong.push("the other container was restarted".to_owned());
        }
        let again = |name: &str, words: &[String]| {
            let mut wrong = Vec::new();
            for words in verb.again(name, words) {
                let again = host.ctl(&words.iter().map(String::as_str).collect::<Vec<_>>());
                if !again.success() && !verb.is_done(host, name, &words, &again) {
                    wrong.push(format!("the same command again: {again}"));
                }
            }
            wrong
        };
        thread::scope(|scope| {
            let all: Vec<_> =
                names.iter().zip(&words).map(|(name, words)| scope.spawn(|| again(name, words))).collect();
            wrong.extend(all.into_iter().flat_map(|one| one.join().expect("a command")));
        });
        let last = disagreements(host, &looked_at).into_iter();
        wrong.extend(last.filter(|line| !verb.leaves_at_last(line)).map(|line| format!("at last: {line}")));
        let said: String =
            killed.iter().map(|(output, _)| output.stderr.trim()).collect::<Vec<_>>().join(" | ");
        counts.wrong.extend(wrong.into_iter().map(|what| {
            format!(
                "systemd {}, {verb:?}, {fault:?} at {places:?}: {what}; settled: {}; said: {said}",
                host.systemd(),
                settled.stderr.trim()
            )
        }));
        // A run takes long; what goes wrong is seen at once.
        let systemd = host.systemd();
        eprintln!("systemd {systemd}, {verb:?}, {fault:?}: {counts} of {}", chosen.len());
        counts.wrong[seen..].iter().for_each(|wrong| eprintln!("wrong: {wrong}"));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(Calls::Spread(4).choose(&all), [12, 37, 62, 87]);
        assert_eq!(Calls::Spread(4).choose(&all[..3]), [0, 1, 2]);
        assert_eq!(Calls::Spread(4).choose(&all[..0]), [0; 0]);
        assert_eq!(Calls::Each { from: 5, every: 40 }.choose(&all), [5, 45, 85]);
    }
}
