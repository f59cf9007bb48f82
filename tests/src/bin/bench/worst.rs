//! The slowest and the largest run for files of 1 MiB, by field.

use std::collections::BTreeMap;
use std::fs;

use nixos_nspawn_tests::worst::{NAME, NEIGHBOUR, cases};

use crate::input::Input;
use crate::tools::Tools;

/// The worst that a field can do: the longest time and the most memory, each with the file's form.
#[derive(Default)]
struct Worst {
    time: (u64, &'static str),
    memory: (u64, &'static str),
}

/// Prints the slowest and the largest run for files of 1 MiB, by field.
pub(crate) fn worst(tools: &Tools) {
    let mut by_field: BTreeMap<String, Worst> = BTreeMap::new();
    let input = Input::new(0);
    let intents = input.root().join("etc/nixos-nspawn");
    fs::write(intents.join("b.json"), NEIGHBOUR).expect("written");
    for case in cases(1 << 20) {
        fs::write(intents.join(format!("{NAME}.json")), &case.text).expect("written");
        let samples = input.measure(tools, 3, &input.generator());
        let time = samples.iter().map(|sample| sample.time).min().unwrap_or_default();
        let memory = samples.iter().map(|sample| sample.memory).max().unwrap_or_default();
        let worst = by_field.entry(case.field).or_default();
        worst.time = worst.time.max((time, case.form));
        worst.memory = worst.memory.max((memory, case.form));
    }
    println!("{:>9} {:>7}  worst file of 1 MiB, by field (aims: 50 ms, 16384 KiB)", "ms", "KiB");
    let mut rows: Vec<_> = by_field.into_iter().collect();
    rows.sort_by_key(|(_, worst)| std::cmp::Reverse(worst.time));
    for (field, Worst { time: (time, slow), memory: (memory, large) }) in rows {
        let forms = if slow == large { slow.to_owned() } else { format!("{slow}; memory: {large}") };
        println!("{:>9.3} {memory:>7}  {field} ({forms})", time as f64 / 1e6);
    }
}
