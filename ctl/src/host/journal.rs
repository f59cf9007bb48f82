//! Reads the journals of containers, on the host and inside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde_json::Value;

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

/// Returns the last message of the unit helper in each of these runs of units in which it refused the start, as far as the
/// caller may read the journal. One call reads those of all.
pub(crate) fn refusals(host: &Host, invocations: &BTreeSet<&str>) -> BTreeMap<String, String> {
    if invocations.is_empty() {
        return BTreeMap::new();
    }
    let call = host
        .manager("journalctl")
        .args(["--boot", "--quiet", "--no-pager", "--output=json", "--all"])
        .arg(format!("--output-fields=MESSAGE,{INVOCATION}"))
        .args(["--identifier=unit-helper", "--priority=err"])
        .args(invocations.iter().map(|invocation| format!("{INVOCATION}={invocation}")));
    parse_refusals(&call.output_if_any().unwrap_or_default())
}

const INVOCATION: &str = "_SYSTEMD_INVOCATION_ID";

/// Parses objects of one line each (`journalctl(1)`). Of a message with several lines the last counts.
fn parse_refusals(answer: &str) -> BTreeMap<String, String> {
    let parsed = answer.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let refusal = |entry: Value| {
        let text = text_of(entry.get("MESSAGE")?)?;
        let line = text.lines().last().filter(|line| !line.is_empty())?;
        Some((entry.get(INVOCATION)?.as_str()?.to_owned(), line.to_owned()))
    };
    // A later one replaces an earlier one.
    parsed.filter_map(refusal).collect()
}

/// Returns a field, which is a list of bytes if it is not printable.
fn text_of(field: &Value) -> Option<String> {
    match field {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> =
                bytes.iter().map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_of_each_run_counts() {
        let answer = r#"{"_SYSTEMD_INVOCATION_ID":"a1","MESSAGE":"first"}
{"MESSAGE":"other","_SYSTEMD_INVOCATION_ID":"b2"}
no JSON
{"_SYSTEMD_INVOCATION_ID":"a1","MESSAGE":[97,10,98],"__CURSOR":"x"}
{"_SYSTEMD_INVOCATION_ID":"c3","MESSAGE":null}
"#;
        let found = parse_refusals(answer);
        let found: Vec<(&str, &str)> = found.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        assert_eq!(found, [("a1", "b"), ("b2", "other")]);
    }
}
