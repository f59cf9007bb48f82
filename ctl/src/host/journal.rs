//! Reads the journals of containers, on the host and inside.

use std::collections::BTreeSet;
use std::time::Duration;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::host::manager_inside::failed_units;

/// Returns the current time in journalctl's format.
pub(crate) fn journal_time() -> String {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("@{seconds}")
}

/// Reports the last lines of the container's journal.
pub(crate) fn show_journal(host: &Host, name: &MachineName, since: &str) {
    if !host.live() {
        return;
    }
    let lines = self::journal(host, name, since, 20);
    if !lines.is_empty() {
        host.report(Event::Journal { name: name.clone(), lines });
    }
}

/// The time limit for reading a journal inside, whose size the container controls.
const PATIENCE: Duration = Duration::from_secs(2);

/// The maximum number of units whose journal is shown.
const UNITS: usize = 3;

/// Reports the last lines of units inside.
pub(crate) fn show_journals(host: &Host, name: &MachineName, units: &BTreeSet<String>) {
    for unit in units.iter().take(UNITS) {
        let answer = host
            .manager("journalctl")
            .args(["--quiet", "--boot", "--no-pager", "--output=short-iso", "--lines=15"])
            .args([format!("--machine={name}"), format!("--unit={unit}")])
            .limit(PATIENCE)
            .output_if_any()
            .unwrap_or_default();
        host.report(Event::UnitJournal { lines: answer.lines().map(str::to_owned).collect() });
    }
}

/// What the names of units begin with that run checks inside.
pub(crate) const CHECK_UNIT: &str = "nixos-nspawn-check-";

/// Reports errors inside during a reload. The output of the switch has been reported already, and so have the journals of the
/// units that have failed. That of checks is in their error.
pub(crate) fn show_journal_inside(host: &Host, name: &MachineName, since: &str) {
    let answer = host
        .manager("journalctl")
        .args(["--quiet", "--boot", "--no-pager", "--output=short-iso", "--priority=warning", "--lines=15"])
        .args([format!("--machine={name}"), format!("--since={since}")])
        .limit(PATIENCE)
        .output_if_any()
        .unwrap_or_default();
    let failed = failed_units(host, name, PATIENCE).unwrap_or_default();
    let shown = failed.iter().take(UNITS).map(String::as_str);
    let shown: Vec<&str> = shown.chain([CHECK_UNIT]).collect();
    let reported = |line: &str| shown.iter().any(|unit| line.contains(unit));
    let lines: Vec<String> = answer.lines().filter(|line| !reported(line)).map(str::to_owned).collect();
    if !lines.is_empty() {
        host.report(Event::JournalInside { name: name.clone(), lines });
    }
}

/// Returns the last lines of the container's journal on the host, since its last start.
pub(crate) fn journal(host: &Host, name: &MachineName, since: &str, lines: usize) -> Vec<String> {
    let answer = host
        .manager("journalctl")
        .args(["--boot", "--quiet", "--no-pager", "--output=short-iso", "--invocation=0"])
        .arg(format!("--since={since}"))
        .arg(format!("--lines={lines}"))
        .arg(format!("--unit={}", unit_name(name)))
        .output_if_any();
    answer.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Returns the unit helper's message if it refused the last start and the caller may read the journal.
pub(crate) fn refusal(host: &Host, name: &MachineName) -> Option<String> {
    let call = host
        .manager("journalctl")
        .args(["--boot", "--quiet", "--no-pager", "--output=cat", "--invocation=0", "--lines=1"])
        .args(["--identifier=unit-helper", "--priority=err"])
        .arg(format!("--unit={}", unit_name(name)));
    call.output_if_any()?.lines().last().map(str::to_owned).filter(|line| !line.is_empty())
}
