//! Kills, interrupts and fails commands at their system calls, and counts what is lost: nothing, or the exit status is 1.

use std::process::ExitCode;
use std::time::Instant;

use nixos_nspawn_tests::torture::Counts;
use nixos_nspawn_tests::torture::offline::{self, Density};

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
    for case in offline::cases() {
        let counts = offline::run(&case, Density { signals: 5, errors: 1 });
        done(&format!("below --root, {}", case.words.join(" ")), counts);
    }
    println!("{:>4} s  all: {all}", begun.elapsed().as_secs());
    if all.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
