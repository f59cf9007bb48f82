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

/// How many characters of a reason the journal gets.
const LONGEST: usize = 8192;

/// Records the results of an update of all containers.
pub(crate) fn summarize(host: &Host, results: &[&Updated]) {
    for one in results {
        send(host, &entry(one));
    }
    let count = |result| results.iter().filter(|one| one.result == result).count();
    let mut counts = vec![
        ("UPDATED", UpdateResult::Updated),
        ("UP_TO_DATE", UpdateResult::UpToDate),
        ("SKIPPED", UpdateResult::Skipped),
        ("FAILED", UpdateResult::Failed),
    ];
    // Only `apply` has these.
    let of_apply = [
        ("CREATED", UpdateResult::Created),
        ("STARTED", UpdateResult::Started),
        ("REMOVED", UpdateResult::Removed),
        ("GONE", UpdateResult::Gone),
    ];
    counts.extend(of_apply.into_iter().filter(|(_, result)| count(*result) > 0));
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
    // The journal's socket takes no entry of more than some 200 KB.
    let why: String = why.unwrap_or_default().chars().take(LONGEST).collect();
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

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn fields_of_an_entry() {
        let name = "web".parse().unwrap();
        let field = |entry: &[(&str, String)], wanted: &str| {
            entry.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
        };
        let skipped = entry(&Updated::skipped(&name, Some(3), "held since today".to_owned()));
        for (name, value) in [
            ("MESSAGE", Some("container 'web': skipped: held since today")),
            ("PRIORITY", Some("6")),
            ("NIXOS_NSPAWN_CONTAINER", Some("web")),
            ("NIXOS_NSPAWN_RESULT", Some("skipped")),
            ("NIXOS_NSPAWN_REASON", Some("held since today")),
            ("NIXOS_NSPAWN_OLD_GENERATION", Some("3")),
            ("NIXOS_NSPAWN_GENERATION", Some("3")),
            ("NIXOS_NSPAWN_NOT_REFRESHED", None),
        ] {
            assert_eq!(field(&skipped, name).as_deref(), value, "{name}");
        }
        let stale = Updated::nothing(&name, Some(3)).with_stale(Some("no server".to_owned()));
        assert_eq!(field(&entry(&stale), "NIXOS_NSPAWN_NOT_REFRESHED").as_deref(), Some("no server"));
        assert_eq!(
            field(&entry(&Updated::nothing(&name, None)), "MESSAGE").as_deref(),
            Some("container 'web': up to date")
        );
        let failed = entry(&Updated::failed(&name, &anyhow!("https://me:pw@h {}", "ä".repeat(1 << 20))));
        assert!(failed.iter().map(|(_, value)| value.len()).sum::<usize>() < 100_000);
        assert_eq!(field(&failed, "PRIORITY").as_deref(), Some("3"));
        assert!(field(&failed, "NIXOS_NSPAWN_REASON").unwrap().starts_with("https://***@h "));
    }
}
