//! Metrics of all containers in Prometheus' text format, for the textfile collector of node_exporter.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use crate::fact::notes::state;
use crate::fact::overview::Overview;

/// Returns the metrics after an update that ended at `now`.
pub(crate) fn metrics(overview: &Overview, now: SystemTime) -> String {
    let containers = || overview.containers.values();
    let mut states: BTreeMap<&str, usize> = ["active", "inactive", "failed"].map(|state| (state, 0)).into();
    for container in containers() {
        *states.entry(state(container).0).or_default() += 1;
    }
    let failed = containers().filter(|one| one.memory.failure.is_some()).count();
    let held = containers().filter(|one| one.memory.hold.is_some()).count();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut text = String::new();
    let mut family = |name: &str, help: &str, values: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP nixos_nspawn_{name} {help}\n# TYPE nixos_nspawn_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "nixos_nspawn_{name}{labels} {value}");
        }
    };
    let count = |count: usize| vec![(String::new(), count as u64)];
    let states: Vec<(String, u64)> =
        states.into_iter().map(|(state, count)| (format!("{{state=\"{state}\"}}"), count as u64)).collect();
    family("containers", "Containers by the state of their unit.", &states);
    family("failed_updates", "Containers whose last update failed or was rolled back.", &count(failed));
    family("held", "Containers that update --all leaves as they are.", &count(held));
    family(
        "last_update_timestamp_seconds",
        "When the last update of all containers ended.",
        &[(String::new(), seconds)],
    );
    text
}
