//! `doctor` on real hosts: a healthy one has neither failures nor warnings, and what is broken is found by the check for
//! it. What does not affect each other is broken together. Limits of the kernel belong to the whole machine, so files are
//! mounted over them, on the throwaway host or for the program alone.

mod files;
mod networks;
mod repairs;

use nixos_nspawn_tests::host::Host;
use serde_json::Value;

/// The result of a check.
#[derive(Debug)]
struct Found {
    check: String,
    level: String,
    text: String,
    next: String,
    fixed: Vec<String>,
}

/// What is broken, how it is mended, and what is to be found: check, level, and parts of the text and the next step.
struct Case {
    broken: &'static str,
    mended: &'static str,
    found: [&'static str; 4],
}

fn case(broken: &'static str, mended: &'static str, found: [&'static str; 4]) -> Case {
    Case { broken, mended, found }
}

fn found(output: &str) -> Vec<Found> {
    let answer: Value = serde_json::from_str(output).unwrap_or_else(|e| panic!("{e}: {output}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = |one: &Value| Found {
        check: text(&one["check"]),
        level: text(&one["level"]),
        text: text(&one["text"]),
        next: text(&one["next"]),
        fixed: one["fixed"].as_array().expect("a list").iter().map(text).collect(),
    };
    answer.as_array().expect("a list").iter().map(found).collect()
}

/// Runs `doctor --json` with these arguments and checks its exit status.
fn doctor(host: &Host, arguments: &[&str]) -> Vec<Found> {
    let output = host.ctl(&[&["doctor", "--json"], arguments].concat());
    let all = found(&output.stdout);
    let failed = all.iter().any(|one| one.level == "failure");
    assert_eq!(output.code(), i32::from(failed), "{output}");
    all
}

fn assert_found(all: &[Found], wanted: [&str; 4]) {
    assert!(is_found(all, wanted), "{wanted:?} is not in {:#?}", of(all, wanted[0]));
}

fn is_found(all: &[Found], [check, level, text, next]: [&str; 4]) -> bool {
    let is = |one: &&Found| one.level == level && one.text.contains(text) && one.next.contains(next);
    of(all, check).iter().any(is)
}

/// Returns what a check has found.
fn of<'a>(all: &'a [Found], check: &str) -> Vec<&'a Found> {
    all.iter().filter(|one| one.check == check).collect()
}

/// Fails unless everything was checked, and found to be well, or worth a note at most.
fn healthy(host: &Host) -> Vec<Found> {
    let all = doctor(host, &[]);
    let is_bad =
        |one: &&Found| !["ok", "note"].contains(&one.level.as_str()) || one.text.starts_with("not checked");
    let bad: Vec<&Found> = all.iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    all
}

/// Breaks all of these, sees each of them found, and mends them.
fn together(host: &Host, cases: &[Case]) {
    let scripts = |of: fn(&Case) -> &str| cases.iter().map(of).collect::<Vec<_>>().join("\n");
    host.sh(&scripts(|case| case.broken));
    let all = doctor(host, &[]);
    let missed = cases.iter().filter(|case| !is_found(&all, case.found));
    let missed: Vec<_> = missed.map(|case| (case.found, of(&all, case.found[0]))).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    host.sh(&scripts(|case| case.mended));
}

/// Breaks something for the program alone, in mounts of its own.
fn alone(host: &Host, broken: &str, found_: [&str; 4]) {
    let script = format!("{broken}\nexec nixos-nspawn doctor --json");
    let output = host.run(&["unshare", "--mount", "sh", "-euc", &script]);
    assert_found(&found(&output.stdout), found_);
}
