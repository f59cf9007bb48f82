//! Reads the journal of containers, on the host and inside.

use std::collections::BTreeSet;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::context::Context;
use crate::base::output;

/// Now, as journalctl takes it.
pub(crate) fn journal_time() -> String {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("@{seconds}")
}

/// Shows the container's own last words.
pub(crate) fn show_journal(context: &Context, name: &MachineName, since: &str) {
    if !context.live() {
        return;
    }
    let lines = self::journal(context, name, since, 20);
    if !lines.is_empty() {
        output::tell(&format!("the last lines of the journal of container '{name}':"));
        output::tell_more(&lines);
    }
}

/// The last words of units inside.
pub(crate) fn show_journals(context: &Context, name: &MachineName, units: &BTreeSet<String>) {
    for unit in units {
        let answer = context
            .program("journalctl")
            .args(["--quiet", "--boot", "--no-pager", "--output=short-iso", "--lines=15"])
            .args([format!("--machine={name}"), format!("--unit={unit}")])
            .output_if_any()
            .unwrap_or_default();
        output::tell_more(&answer.lines().map(str::to_owned).collect::<Vec<_>>());
    }
}

/// What went wrong inside during a reload; what the switch itself says went to the user.
pub(crate) fn show_journal_inside(context: &Context, name: &MachineName, since: &str) {
    let answer = context
        .program("journalctl")
        .args(["--quiet", "--boot", "--no-pager", "--output=short-iso", "--priority=warning", "--lines=15"])
        .args([format!("--machine={name}"), format!("--since={since}")])
        .output_if_any()
        .unwrap_or_default();
    let lines: Vec<String> = answer.lines().map(str::to_owned).collect();
    if !lines.is_empty() {
        output::tell(&format!("warnings in the journal inside container '{name}':"));
        output::tell_more(&lines);
    }
}

/// The last lines of the container's journal on the host, of its last start and what followed.
pub(crate) fn journal(context: &Context, name: &MachineName, since: &str, lines: usize) -> Vec<String> {
    let answer = context
        .program("journalctl")
        .args(["--boot", "--quiet", "--no-pager", "--output=short-iso", "--invocation=0"])
        .arg(format!("--since={since}"))
        .arg(format!("--lines={lines}"))
        .arg(format!("--unit={}", unit_name(name)))
        .output_if_any();
    answer.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Why the unit helper refused the last start, in its own words, where that was the reason and the caller may read the
/// journal.
pub(crate) fn refusal(context: &Context, name: &MachineName) -> Option<String> {
    let call = context
        .program("journalctl")
        .args(["--boot", "--quiet", "--no-pager", "--output=cat", "--invocation=0", "--lines=1"])
        .args(["--identifier=unit-helper", "--priority=err"])
        .arg(format!("--unit={}", unit_name(name)));
    call.output_if_any()?.lines().last().map(str::to_owned).filter(|line| !line.is_empty())
}
