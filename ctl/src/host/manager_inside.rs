//! Asks the service manager inside a container about its jobs and services. The container controls the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::shown;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use crate::base::exit::Failed;
use crate::base::host::Host;

/// How long to wait for an answer that no decision depends on. While the manager starts, it may not answer at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait for an answer that a decision depends on, since a busy host is slow.
pub(crate) const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// A service that systemd restarts when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestartingService {
    /// `running`, `auto-restart`, …
    pub(crate) sub: String,
    /// The number of automatic restarts (`NRestarts=`).
    pub(crate) restarts: u32,
    /// When it entered its state, on the monotonic clock.
    pub(crate) since: Duration,
}

/// Services by unit name.
pub(crate) type Services = BTreeMap<String, RestartingService>;

/// Returns the time on the monotonic clock, which containers share with the host.
pub(crate) fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Returns the manager's state as `is-system-running` prints it (`systemctl(1)`), or an empty string if it does not
/// answer.
pub(crate) fn system_state(host: &Host, name: &MachineName, limit: Duration) -> String {
    let machine = format!("--machine={name}");
    let call = host.manager("systemctl").args([machine.as_str(), "is-system-running"]).limit(limit);
    call.answer().map(|(_, answer)| answer.trim().to_owned()).unwrap_or_default()
}

/// Returns the failed units. Fails if the manager does not answer, since that does not mean that there are none.
pub(crate) fn failed_units(host: &Host, name: &MachineName, limit: Duration) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Unit {
        unit: String,
    }
    let machine = format!("--machine={name}");
    let words = ["list-units", "--failed", "--full", "--plain", "--no-legend", "--output=json"];
    let answer = host.manager("systemctl").arg(&machine).args(words).limit(limit).output()?;
    let units: Vec<Unit> = serde_json::from_str(&answer).map_err(|error| {
        Failed::Program(format!("systemctl {machine} list-units: unexpected answer: {error}"))
    })?;
    Ok(units.into_iter().map(|unit| unit.unit).collect())
}

/// Returns the services that systemd restarts when they end. Fails if the manager does not answer.
pub(crate) fn restarting_services(host: &Host, name: &MachineName, limit: Duration) -> Result<Services> {
    const PROPERTIES: [&str; 5] = ["Id", "Restart", "SubState", "NRestarts", "StateChangeTimestampMonotonic"];
    let call = host.manager("systemctl").arg(format!("--machine={name}")).arg("show");
    let call = call.args(PROPERTIES.iter().flat_map(|property| ["-p", property])).arg("--").arg("*.service");
    Ok(parse_services(&call.limit(limit).output()?))
}

/// Parses blocks of KEY=VALUE lines separated by empty lines.
fn parse_services(answer: &str) -> Services {
    let mut services = Services::new();
    for block in answer.split("\n\n") {
        let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let (Some(id), Some(restart)) = (value("Id"), value("Restart")) else { continue };
        if restart == "no" {
            continue;
        }
        let number = |key: &str| value(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let service = RestartingService {
            sub: value("SubState").unwrap_or_default().to_owned(),
            restarts: u32::try_from(number("NRestarts")).unwrap_or(u32::MAX),
            since: Duration::from_micros(number("StateChangeTimestampMonotonic")),
        };
        services.insert(id.to_owned(), service);
    }
    services
}

/// Returns the units with running jobs, or none if the manager does not answer.
pub(crate) fn running_jobs(host: &Host, name: &MachineName) -> Vec<String> {
    let call = host.manager("systemctl").arg(format!("--machine={name}"));
    let call = call.args(["list-jobs", "--full", "--plain", "--no-legend"]).limit(PATIENCE);
    parse_jobs(&call.output_if_any().unwrap_or_default())
}

/// Parses lines of number, unit, type and state.
fn parse_jobs(answer: &str) -> Vec<String> {
    let running = answer.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (unit, state) = (words.nth(1)?, words.nth(1)?);
        (state == "running").then(|| unit.to_owned())
    });
    running.collect()
}

/// The maximum number of units named in a message.
const NAMED: usize = 10;

/// Returns the names of units for a message. The container chose them, so they are escaped and limited in number.
pub(crate) fn listed<'a>(units: impl IntoIterator<Item = &'a String, IntoIter: ExactSizeIterator>) -> String {
    let units = units.into_iter();
    let more = units.len().saturating_sub(NAMED);
    let mut words: Vec<String> = units.take(NAMED).map(|unit| shown(unit)).collect();
    if words.is_empty() {
        return "a unit".to_owned();
    }
    if more > 0 {
        words.push(format!("{more} more"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filtered_and_bounded() {
        let names: Vec<String> = (0..10_000).map(|number| format!("\u{1b}[31m{number}.service")).collect();
        let text = listed(&names);
        assert!(text.ends_with(", 9990 more") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(listed(&BTreeSet::new()), "a unit");
        assert!(listed(&["x".repeat(1 << 20)]).len() < 1000);
    }

    #[test]
    fn services_of_an_answer() {
        let answer = "Id=web.service\nRestart=always\nNRestarts=4\nSubState=auto-restart\n\
                      StateChangeTimestampMonotonic=2500000\n\nId=once.service\nRestart=no\nSubState=dead\n";
        let web =
            RestartingService { sub: "auto-restart".into(), restarts: 4, since: Duration::from_millis(2500) };
        assert_eq!(parse_services(answer), Services::from([("web.service".into(), web)]));
        assert!(parse_services("").is_empty());
    }

    #[test]
    fn jobs_of_an_answer() {
        let answer = " 12 dawdling.service start running\n  1 multi-user.target start waiting\n";
        assert_eq!(parse_jobs(answer), ["dawdling.service"]);
        assert!(parse_jobs("No jobs running.\n").is_empty());
    }
}
