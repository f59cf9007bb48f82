//! A sample of `make torture`: commands on trees below `--root`, with kills and errors at their system calls.

use nixos_nspawn_tests::torture::offline::{self, Density};
use nixos_nspawn_tests::torture::{Counts, generator};

#[test]
fn nothing_is_lost_below_a_root() {
    let mut counts = Counts::default();
    for case in offline::cases() {
        let of_case = offline::run(&case, Density { signals: 5, errors: 5 });
        eprintln!("{:?}: {of_case}", case.words);
        counts.add(of_case);
    }
    counts.assert_nothing_wrong();
    assert!(counts.kills > 250 && counts.errors > 400 && counts.signals > 50, "too few cases: {counts}");
    assert!(counts.missed * 20 < counts.faults(), "too few faults are injected: {counts}");
}

/// Whatever call fails, the generator does not panic, and the bare template starts no container.
#[test]
fn no_fault_makes_the_generator_start_a_bare_template() {
    let counts = generator::run(3);
    eprintln!("{counts}");
    counts.assert_nothing_wrong();
    assert!(counts.kills > 30 && counts.errors > 100, "too few cases: {counts}");
    assert!(counts.missed * 20 < counts.faults(), "too few faults are injected: {counts}");
}
