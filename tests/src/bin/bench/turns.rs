//! Commands that are run in turn on a host, and what they took.

use std::collections::BTreeMap;
use std::time::Duration;

use nixos_nspawn_tests::host::Host;

/// The path of alternate.rs on a host.
pub(crate) const ALTERNATE: &str = "/usr/local/bin/alternate";

/// The time limit of all rounds.
const LONG: Duration = Duration::from_secs(550);

/// What the runs of one command took, in milliseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    /// On the clock, the median.
    pub(crate) time: f64,
    /// Processor time of the command and its children, the median.
    pub(crate) processor: f64,
    /// Processor time of PID 1 meanwhile, the median.
    pub(crate) manager: f64,
}

/// The commands of a round.
#[derive(Default)]
pub(crate) struct Turns(String);

impl Turns {
    /// Adds a command that is measured under a label.
    pub(crate) fn add(&mut self, label: &str, words: &[&str]) {
        self.0 += &format!("{label}\t{}\n", words.join("\t"));
    }

    /// Adds a command that is not measured.
    pub(crate) fn prepare(&mut self, script: &str) {
        self.add("-", &["/bin/sh", "-euc", script]);
    }

    /// Runs all rounds and returns what each label took.
    pub(crate) fn run(&self, host: &Host, rounds: u32) -> BTreeMap<String, Taken> {
        let output = host.run_with(&[ALTERNATE, &rounds.to_string()], Some(self.0.as_bytes()), LONG);
        assert!(output.success(), "{output}");
        let mut runs: BTreeMap<String, Vec<[f64; 3]>> = BTreeMap::new();
        for line in output.stdout.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            let number = |at: usize| words[at].parse::<f64>().expect("a number") / 1e6;
            runs.entry(words[0].to_owned()).or_default().push([number(1), number(2), number(3)]);
        }
        let median = |runs: &[[f64; 3]], at: usize| {
            let mut numbers: Vec<f64> = runs.iter().map(|run| run[at]).collect();
            numbers.sort_by(f64::total_cmp);
            numbers[numbers.len() / 2]
        };
        let taken = |runs: Vec<[f64; 3]>| Taken {
            time: median(&runs, 0),
            processor: median(&runs, 1),
            manager: median(&runs, 2),
        };
        runs.into_iter().map(|(label, runs)| (label, taken(runs))).collect()
    }
}
