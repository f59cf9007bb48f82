//! The gate of an activation: watches until the container has reached the expected state, or fails with the reason
//! when time is up. It changes nothing.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::shown;

use crate::base::host::Host;
use crate::base::interrupt;
use crate::base::program::ended;
use crate::decision::crash_loop::{SETTLING, Stability, stability, waiting};
use crate::host::journal::show_journals;
use crate::host::manager_inside::{
    LONG_PATIENCE, Services, failed_units, listed, monotonic, restarting_services, running_jobs, system_state,
};
use crate::host::systemd;

/// The state that a container must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The system inside is running, and no unit failed.
    Running,
    /// The system inside has started, and no unit failed that had not failed before.
    Degraded,
    /// The container is active.
    Active,
    /// Anything.
    None,
}

/// The conditions that a container must meet after an activation.
pub(crate) struct Gate<'a> {
    /// The state it must reach.
    pub(crate) expect: Expect,
    /// A command that must succeed inside.
    pub(crate) check: Option<&'a str>,
    /// The time limit.
    pub(crate) limit: Duration,
    /// The units inside before the activation.
    pub(crate) before: Before,
}

/// The units inside a container before an activation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    /// Those that had failed.
    failed: BTreeSet<String>,
    /// Services that systemd restarts when they end.
    services: Services,
    /// When they were observed, on the monotonic clock.
    seen: Duration,
}

impl Before {
    /// Observes the units, within `limit`. Without an answer, every failed unit and every restart counts as new.
    pub(crate) fn see(host: &Host, name: &MachineName, limit: Duration) -> Self {
        let end = Instant::now() + limit.min(LONG_PATIENCE);
        let services = restarting_services(host, name, left(end));
        // What did not answer once is not waited for again.
        let failed = match &services {
            Ok(_) => failed_units(host, name, left(end)).unwrap_or_default(),
            Err(_) => BTreeSet::new(),
        };
        Self { failed, services: services.unwrap_or_default(), seen: monotonic() }
    }
}

/// The polling interval.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one question may take, so that it is answered, or given up, soon after the end.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).clamp(Duration::from_secs(1), LONG_PATIENCE)
}

/// Waits until the container meets the expectations.
pub(crate) fn pass(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate) -> Result<()> {
    let end = Instant::now() + gate.limit;
    if gate.expect == Expect::None && gate.check.is_none() {
        return Ok(());
    }
    alive(host, name, plan)?;
    if matches!(gate.expect, Expect::Running | Expect::Degraded) {
        settled(host, name, plan, gate, end)?;
        stay_up(host, name, plan, gate, end)?;
    }
    if let Some(command) = gate.check {
        checked(host, name, plan, command, end)?;
    }
    Ok(())
}

fn alive(host: &Host, name: &MachineName, plan: Option<&str>) -> Result<()> {
    let state = systemd::state(host, name)?;
    if state.active != "active" {
        bail!("container '{name}' is {} ({})", state.active, state.result);
    }
    if state.plan.as_deref() != plan {
        bail!("systemd has loaded settings of container '{name}' other than those planned");
    }
    Ok(())
}

/// Waits until the system inside is neither starting nor stopping.
fn settled(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate, end: Instant) -> Result<()> {
    loop {
        let answer = system_state(host, name, left(end));
        match (answer.as_str(), gate.expect) {
            ("running", _) => return Ok(()),
            ("degraded", Expect::Running) => {
                let failed = failed_units(host, name, left(end)).unwrap_or_default();
                bail!("the system in container '{name}' is degraded: {} failed", listed(&failed));
            }
            // Without a list, ask again: some of the failed units may be new.
            ("degraded", _) => {
                if let Ok(failed) = failed_units(host, name, left(end)) {
                    let new: BTreeSet<String> = failed.difference(&gate.before.failed).cloned().collect();
                    if new.is_empty() {
                        return Ok(());
                    }
                    show_journals(host, name, &new);
                    bail!("{} failed in container '{name}' and had not failed before", listed(&new));
                }
            }
            _ => {}
        }
        if Instant::now() >= end {
            let jobs = if answer.is_empty() { Vec::new() } else { running_jobs(host, name) };
            let answer = if answer.is_empty() { "unreachable".to_owned() } else { shown(&answer) };
            let jobs =
                if jobs.is_empty() { String::new() } else { format!(" (waiting for {})", listed(&jobs)) };
            bail!(
                "the system in container '{name}' is still {answer} after {} s{jobs}",
                gate.limit.as_secs()
            );
        }
        alive(host, name, plan)?;
        sleep(PAUSE);
        interrupt::check()?;
    }
}

/// Waits until each service that has just started has stayed up for a while. A service that is restarted whenever it
/// ends is never a failed unit.
fn stay_up(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate, end: Instant) -> Result<()> {
    let before = &gate.before;
    // What was ready in the last moment is watched for as long as it takes to settle.
    let end = end.max(Instant::now() + SETTLING);
    loop {
        let services = match restarting_services(host, name, left(end)) {
            Ok(services) => services,
            Err(error) if Instant::now() >= end => {
                bail!("the services in container '{name}' cannot be listed: {error:#}")
            }
            Err(_) => {
                alive(host, name, plan)?;
                interrupt::check()?;
                sleep(PAUSE);
                continue;
            }
        };
        match stability(&before.services, before.seen, &services, monotonic()) {
            Stability::Stable => return Ok(()),
            Stability::Looping(units) => {
                show_journals(host, name, &units);
                bail!("in container '{name}', {} ends and is restarted again and again", listed(&units));
            }
            // It restarts rarely, and a service that is only starting has not failed.
            Stability::Unsettled if Instant::now() >= end => {
                let units = waiting(&services);
                if units.is_empty() {
                    return Ok(());
                }
                bail!("in container '{name}', {} waits for its restart", listed(&units));
            }
            Stability::Unsettled => {}
        }
        alive(host, name, plan)?;
        sleep(PAUSE);
        interrupt::check()?;
    }
}

/// Runs the command inside until it succeeds.
fn checked(host: &Host, name: &MachineName, plan: Option<&str>, command: &str, end: Instant) -> Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        let status = host
            .manager("systemd-run")
            .arg(format!("--machine={name}"))
            .args(["--quiet", "--collect", "--wait", "--pipe", "--service-type=exec"])
            .arg(format!("--property=RuntimeMaxSec={}", left.as_secs().max(1)))
            .args(["/bin/sh", "-c", command])
            .limit(left + Duration::from_secs(1))
            .answer();
        interrupt::check()?;
        let how = match status {
            Ok((status, _)) if status.success() => return Ok(()),
            Ok((status, _)) => ended(status),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() + Duration::from_secs(1) >= end {
            bail!("check '{command}' in container '{name}' failed: {how}");
        }
        alive(host, name, plan)?;
        sleep(Duration::from_secs(1));
    }
}
