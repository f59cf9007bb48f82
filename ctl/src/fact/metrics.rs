//! Metrics of all containers in Prometheus' text format, for the textfile collector of node_exporter.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use crate::fact::notes::state_word;
use crate::fact::overview::Overview;

/// Returns the metrics after an update that ended at `now`.
pub(crate) fn metrics(overview: &Overview, now: SystemTime) -> String {
    let containers = || overview.containers.values();
    let mut states: BTreeMap<&str, usize> = ["active", "inactive", "failed"].map(|state| (state, 0)).into();
    for container in containers() {
        *states.entry(state_word(container)).or_default() += 1;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nixos_nspawn_units::name::MachineName;
    use nixos_nspawn_units::plan::Plan;
    use nixos_nspawn_units::store::Kind;

    use super::*;
    use crate::fact::overview::Container;
    use crate::host::systemd::UnitState;
    use crate::host::update_memory::{Failure, FailureKind, Hold};

    #[test]
    fn the_whole_file() {
        let container = |name: &str, active: &str| {
            let name: MachineName = name.parse().unwrap();
            let mut container = Container::new(name.clone(), Kind::Imperative);
            container.state =
                (!active.is_empty()).then(|| UnitState { active: active.to_owned(), ..UnitState::default() });
            (name, container)
        };
        let all = [("a", "active"), ("b", "active"), ("c", "activating"), ("d", "failed"), ("e", "")];
        let mut overview = Overview {
            containers: all.iter().map(|(name, active)| container(name, active)).collect(),
            faults: Vec::new(),
            plan: Plan::default(),
            unknown_states: None,
            unknown_addresses: None,
            generator_fault: None,
        };
        let remember = |overview: &mut Overview, name: &str| {
            let memory = &mut overview.containers.get_mut(&name.parse().unwrap()).unwrap().memory;
            memory.fails(Failure::now(FailureKind::Failed, "why", None));
            memory.hold = Some(Hold::now(None));
        };
        remember(&mut overview, "a");
        remember(&mut overview, "d");
        let expected = "\
# HELP nixos_nspawn_containers Containers by the state of their unit.
# TYPE nixos_nspawn_containers gauge
nixos_nspawn_containers{state=\"activating\"} 1
nixos_nspawn_containers{state=\"active\"} 2
nixos_nspawn_containers{state=\"failed\"} 1
nixos_nspawn_containers{state=\"inactive\"} 0
nixos_nspawn_containers{state=\"unknown\"} 1
# HELP nixos_nspawn_failed_updates Containers whose last update failed or was rolled back.
# TYPE nixos_nspawn_failed_updates gauge
nixos_nspawn_failed_updates 2
# HELP nixos_nspawn_held Containers that update --all leaves as they are.
# TYPE nixos_nspawn_held gauge
nixos_nspawn_held 2
# HELP nixos_nspawn_last_update_timestamp_seconds When the last update of all containers ended.
# TYPE nixos_nspawn_last_update_timestamp_seconds gauge
nixos_nspawn_last_update_timestamp_seconds 1700000000
";
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        assert_eq!(metrics(&overview, now), expected);
    }
}
