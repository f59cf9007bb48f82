//! The time that the generator takes is linear in the size of each field.

use std::hint::black_box;

use nixos_nspawn_tests::worst::{NAME, NEIGHBOUR, cases};
use nixos_nspawn_units::intent::{Fault, Intent, parse, reads_as_autostart};
use nixos_nspawn_units::plan::plan;
use nixos_nspawn_units::store::{Kind, Loaded, Stored};
use rustix::time::{ClockId, clock_gettime};

/// Returns the processor time of this thread, in nanoseconds. Other load on the machine does not count.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("a time")
}

fn stored(name: &str, text: &str) -> Result<Stored, Fault> {
    let name = name.parse().expect("a name");
    let intent: Intent = parse(text.as_bytes(), &name)?;
    Ok(Stored {
        path: format!("/etc/nixos-nspawn/{name}.json"),
        name,
        kind: Kind::Imperative,
        intent: Box::new(intent),
    })
}

/// Returns the processor time of reading a file and planning its container, in nanoseconds.
fn time(text: &str) -> u64 {
    let neighbour = stored("b", NEIGHBOUR).expect("a good intent");
    let start = processor_time();
    match stored(NAME, text) {
        Ok(intent) => {
            let intents = vec![intent, neighbour];
            black_box(plan(&Loaded { intents, ..Loaded::default() }));
        }
        Err(fault) => {
            black_box((fault.to_string(), reads_as_autostart(text.as_bytes())));
        }
    }
    processor_time() - start
}

/// Four times the size takes four times as long, not sixteen times.
#[test]
fn no_field_takes_more_than_linear_time() {
    let small = cases(64 * 1024);
    let large = cases(256 * 1024);
    assert!(small.len() == large.len() && small.len() > 300, "{} cases", small.len());
    let mut failed = Vec::new();
    let mut slowest = Vec::new();
    for (small, large) in small.iter().zip(&large) {
        let (mut one, mut four) = (time(&small.text), time(&large.text));
        slowest.push((four, format!("{} ({})", large.field, large.form)));
        let is_bad = |one, four| four > 9 * one;
        // The first run may have met an interrupt, or a cold cache.
        for _ in 0..5 {
            if is_bad(one, four) {
                (one, four) = (one.max(time(&small.text)), four.min(time(&large.text)));
            }
        }
        if is_bad(one, four) {
            failed.push(format!("{} ({}): {one} ns, then {four} ns", large.field, large.form));
        }
    }
    slowest.sort();
    eprintln!("slowest: {:#?}", &slowest[slowest.len() - 8..]);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The cases cover every list, map and text that can be long, and many are valid.
#[test]
fn the_cases_reach_the_plan() {
    let cases = cases(64 * 1024);
    let good = cases.iter().filter(|case| stored(NAME, &case.text).is_ok()).count();
    assert!(good > 60, "only {good} of {} are good", cases.len());
    for field in
        ["container.forwardPorts", "container.hostNetworkConfig.networkConfig", "container.nspawnConfig.Exec"]
    {
        let good =
            cases.iter().filter(|case| case.field == field && stored(NAME, &case.text).is_ok()).count();
        assert!(good > 1, "{field}: {good}");
    }
}
