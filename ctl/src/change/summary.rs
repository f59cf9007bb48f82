//! Records an update of all containers: a journal entry for each container, one for the whole run, and metrics.

use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::base::event::Event;
use crate::base::host::Host;
use crate::change::updated::{UpdateResult, Updated};
use crate::fact::metrics::metrics;
use crate::fact::overview::Overview;
use crate::host::files::write_file;
use crate::host::journal_entry::send;

/// The message IDs, for `journalctl MESSAGE_ID=…` (`journalctl(1)`).
const ONE: &str = "6e1d4b0f4a0c4f5fa1d0d9a7a6f3c2b1";
const ALL: &str = "c0a5b7d1e2f34a66b8c97d3e5f102938";

/// Records the results of an update of all containers.
pub(crate) fn summarize(host: &Host, results: &[Updated]) {
    for one in results {
        send(host, &entry(one));
    }
    let count = |result| results.iter().filter(|one| one.result == result).count();
    let counts = [
        ("UPDATED", UpdateResult::Updated),
        ("UP_TO_DATE", UpdateResult::UpToDate),
        ("SKIPPED", UpdateResult::Skipped),
        ("FAILED", UpdateResult::Failed),
    ];
    let said: Vec<String> = counts
        .iter()
        .map(|(name, result)| format!("{} {}", count(*result), name.to_lowercase().replace('_', " ")))
        .collect();
    let failed = count(UpdateResult::Failed) > 0;
    let mut fields = vec![
        ("MESSAGE", format!("containers: {}", said.join(", "))),
        ("MESSAGE_ID", ALL.to_owned()),
        ("PRIORITY", if failed { "3" } else { "6" }.to_owned()),
        ("SYSLOG_IDENTIFIER", "nixos-nspawn".to_owned()),
    ];
    let counted: Vec<(String, String)> = counts
        .iter()
        .map(|(name, result)| (format!("NIXOS_NSPAWN_{name}"), count(*result).to_string()))
        .collect();
    fields.extend(counted.iter().map(|(name, count)| (name.as_str(), count.clone())));
    send(host, &fields);
    if let Err(error) = write_metrics(host) {
        host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
    }
}

/// Returns the journal entry for one container.
fn entry(one: &Updated) -> Vec<(&'static str, String)> {
    let result = serde_json::to_value(one.result).unwrap_or_default();
    let result = result.as_str().unwrap_or_default().to_owned();
    let why = one.error.as_ref().or(one.reason.as_ref()).or(one.not_refreshed.as_ref()).cloned();
    let why = why.unwrap_or_default();
    let message = format!("container '{}': {}: {why}", one.name, result.replace('_', " "));
    let mut fields = vec![
        ("MESSAGE", message.trim_end_matches(": ").to_owned()),
        ("MESSAGE_ID", ONE.to_owned()),
        ("PRIORITY", if one.result == UpdateResult::Failed { "3" } else { "6" }.to_owned()),
        ("SYSLOG_IDENTIFIER", "nixos-nspawn".to_owned()),
        ("NIXOS_NSPAWN_CONTAINER", one.name.to_string()),
        ("NIXOS_NSPAWN_RESULT", result),
        ("NIXOS_NSPAWN_REASON", why),
    ];
    let number = |name, number: Option<u64>| number.map(|number| (name, number.to_string()));
    fields.extend(number("NIXOS_NSPAWN_OLD_GENERATION", one.old_generation));
    fields.extend(number("NIXOS_NSPAWN_GENERATION", one.generation));
    fields.extend(one.not_refreshed.clone().map(|why| ("NIXOS_NSPAWN_NOT_REFRESHED", why)));
    fields
}

/// Writes the metrics if `MetricsFile=` is set.
fn write_metrics(host: &Host) -> Result<()> {
    let Some(path) = &host.config.metrics_file else { return Ok(()) };
    let text = metrics(&Overview::gather(host)?, SystemTime::now());
    write_file(&host.path(path.as_str()), text.as_bytes(), 0o644).context("metrics")
}
