//! Puts a new generation into effect: reloads, restarts, stops and starts containers with systemctl and systemd-run.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::program::ended;
use crate::host::manager_inside::{PATIENCE, failed_units, running_jobs};
use crate::host::systemd;
use crate::host::systemd::UnitState;

/// The result of a reload.
pub(crate) enum Reloaded {
    /// It succeeded.
    Yes,
    /// `switch-to-configuration` reported failed units; the gate decides.
    UnitsFailed,
    /// The system cannot be switched in place.
    NeedsRestart(String),
}

/// How long a start may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartLimit {
    /// When to ask the container what its start waits for.
    look: Duration,
    /// When to give up; `None` leaves that to systemd.
    end: Option<Duration>,
}

impl StartLimit {
    /// A start that is given up after `limit`.
    pub(crate) fn after(limit: Duration) -> Self {
        // systemd's own limit takes effect first if it is the shorter one, since its result says more.
        Self { end: Some(limit + Duration::from_secs(1)), ..Self::systemd(limit) }
    }

    /// A start that systemd gives up after `limit`, the unit's `TimeoutStartSec=`.
    pub(crate) fn systemd(limit: Duration) -> Self {
        Self { look: limit - (limit / 4).min(Duration::from_secs(3)), end: None }
    }
}

/// The unit inside that runs the switch, named so that it can be stopped.
const SWITCH_UNIT: &str = "nixos-nspawn-switch.service";

/// Switches the system inside the container to the new one, within `limit`.
pub(crate) fn reload(host: &Host, name: &MachineName, new: &Intent, limit: Duration) -> Result<Reloaded> {
    if let Some(script) = &new.container.activation.reload_script {
        let status = host.program(script.as_str()).limit(limit).status_with_messages()?;
        return match status.code() {
            Some(0) => Ok(Reloaded::Yes),
            _ => Err(Failed::Program(format!("{script}: {status}")).into()),
        };
    }
    let switch = format!("{}/bin/switch-to-configuration", new.toplevel);
    if !host.path(&switch).exists() {
        return Ok(Reloaded::NeedsRestart("the new system has no bin/switch-to-configuration".to_owned()));
    }
    // ExecReload= would continue inside after its timeout (systemd.service(5)); this unit can be stopped.
    let begin = Instant::now();
    let started = host
        .manager("systemd-run")
        .arg(format!("--machine={name}"))
        .args(["--quiet", "--collect", "--wait", "--pipe", "--service-type=exec"])
        .arg(format!("--unit={SWITCH_UNIT}"))
        .arg(format!("--property=RuntimeMaxSec={}", limit.as_secs().max(1)))
        .args([switch.as_str(), "test"])
        .limit(limit + Duration::from_secs(1))
        .status_with_messages();
    let too_long = || {
        let seconds = limit.as_secs();
        Failed::Program(format!("switch-to-configuration in container '{name}' took longer than {seconds} s"))
    };
    let status = match started {
        Ok(status) => status,
        Err(error) => {
            // This also runs after an interrupt. A switch that does not stop is killed, since a second one must
            // not run beside it.
            crate::base::interrupt::clean_up_begins();
            let machine = format!("--machine={name}");
            let inside = |words: &[&str]| {
                host.manager("systemctl").arg(&machine).args(words).arg(SWITCH_UNIT).limit(PATIENCE)
            };
            if inside(&["stop"]).output().is_err() {
                let _ = inside(&["kill", "--signal=KILL"]).output();
            }
            return Err(if begin.elapsed() >= limit { error.context(too_long()) } else { error });
        }
    };
    match status.code() {
        Some(0) => Ok(Reloaded::Yes),
        Some(4) => Ok(Reloaded::UnitsFailed),
        Some(100) => Ok(Reloaded::NeedsRestart("the new system requests a restart".to_owned())),
        _ if begin.elapsed() >= limit => Err(too_long().into()),
        _ => Err(anyhow!(Failed::Program(format!(
            "switch-to-configuration in container '{name}' failed: {}",
            ended(status)
        )))),
    }
}

/// Restarts the container and verifies that it runs what was planned. The limit applies to the start only; the unit
/// limits its stop.
pub(crate) fn restart(host: &Host, name: &MachineName, plan: Option<&str>, limit: StartLimit) -> Result<()> {
    systemd::stop_once(host, name)?;
    start(host, name, plan, limit)
}

/// Starts the container and verifies that it runs what was planned. Shortly before its timeout, reports what it waits for:
/// once systemd stops the container, it can no longer be asked.
pub(crate) fn start(host: &Host, name: &MachineName, plan: Option<&str>, limit: StartLimit) -> Result<()> {
    // A start limit that earlier failures have hit must not prevent this start.
    systemd::reset_failed(host, &[name]);
    let call = || host.manager("systemctl").args(["start", "--"]).arg(unit_name(name));
    let begin = Instant::now();
    let mut error = call().limit(limit.look).output().err();
    crate::base::interrupt::check()?;
    // systemctl was ended, not the job.
    if error.is_some() && begin.elapsed() >= limit.look {
        match systemd::state(host, name)?.active.as_str() {
            // Another call waits for the same job.
            "activating" => {
                host.report(Event::StillStarting {
                    name: name.clone(),
                    seconds: begin.elapsed().as_secs(),
                    jobs: running_jobs(host, name),
                    failed: failed_units(host, name, PATIENCE).unwrap_or_default().into_iter().collect(),
                });
                error = match limit.end {
                    Some(end) => call().limit(end.saturating_sub(begin.elapsed())).output().err(),
                    None => call().output().err(),
                };
            }
            // The job has ended meanwhile.
            "active" => error = None,
            _ => {}
        }
    }
    came_up(host, name, plan, error)
}

/// Verifies that the unit is active with this plan; an exit status of 0 is not enough.
fn came_up(host: &Host, name: &MachineName, plan: Option<&str>, error: Option<anyhow::Error>) -> Result<()> {
    crate::base::interrupt::check()?;
    let state = systemd::state(host, name)?;
    let why = match (state.active == "active" && state.plan.as_deref() == plan, error) {
        (true, None) => return Ok(()),
        (true, Some(error)) => format!("{error:#}"),
        (false, _) => outcome(&state),
    };
    Err(Failed::Program(format!("container '{name}' did not start: {why}")).into())
}

/// Describes how a start ended that did not go as planned.
fn outcome(state: &UnitState) -> String {
    match (state.active.as_str(), state.sub.as_str()) {
        ("failed", _) => format!("it failed ({})", state.result),
        ("active", _) => "it runs with settings other than those planned".to_owned(),
        // `RestartForceExitStatus=` of the template.
        ("activating", "auto-restart" | "auto-restart-queued") => {
            "it rebooted before it was ready".to_owned()
        }
        (other, _) => format!("it is still {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Played, ended, web};

    #[test]
    fn a_container_that_is_up_when_systemctl_is_ended_has_started() {
        let played = Played::new();
        played.record();
        let plan = played.plan();
        played.on_call(|words, _| {
            let start = words.get(1).is_some_and(|word| word == "start");
            start.then(|| {
                std::thread::sleep(Duration::from_millis(20));
                ended(1, "", "ended")
            })
        });
        let limit = |look| StartLimit { look: Duration::from_millis(look), end: None };
        start(&played.host, &web(), plan.as_deref(), limit(10)).unwrap();
        // systemctl itself failed.
        assert!(start(&played.host, &web(), plan.as_deref(), limit(10_000)).is_err());
        assert_eq!(played.calls().iter().filter(|call| call.starts_with("systemctl start")).count(), 2);
    }

    #[test]
    fn starts_that_do_not_end_as_planned() {
        for (active, sub, result, said) in [
            ("failed", "failed", "timeout", "it failed (timeout)"),
            ("active", "running", "success", "it runs with settings other than those planned"),
            ("activating", "auto-restart", "exit-code", "it rebooted before it was ready"),
            ("activating", "start", "success", "it is still activating"),
        ] {
            let [active, sub, result] = [active, sub, result].map(str::to_owned);
            let state = UnitState { active, sub, result, ..UnitState::default() };
            assert_eq!(outcome(&state), said);
        }
    }
}
