//! How a new generation takes effect: the decision, with its reason, and the act. Old and new intent and the state of the
//! container go in, an [`Action`] comes out; what the action needs is systemctl and systemd-run.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::host::manager_inside::running_jobs;
use crate::host::systemd;

/// How a reload ended.
pub(crate) enum Reloaded {
    /// Well.
    Yes,
    /// `switch-to-configuration` says some units failed: the gate decides.
    UnitsFailed,
    /// The system cannot be switched to in place.
    NeedsRestart(String),
}

/// How long a start may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartLimit {
    /// When it is asked what the start waits for.
    look: Duration,
    /// When it is given up; `None` leaves that to systemd.
    end: Option<Duration>,
}

impl StartLimit {
    /// A start that is given up after `limit`.
    pub(crate) fn after(limit: Duration) -> Self {
        // systemd's own limit comes first where it is the shorter, and tells more.
        Self { end: Some(limit + Duration::from_secs(1)), ..Self::systemd(limit) }
    }

    /// A start that systemd gives up after `limit`, the unit's `TimeoutStartSec=`.
    pub(crate) fn systemd(limit: Duration) -> Self {
        Self { look: limit - (limit / 4).min(Duration::from_secs(3)), end: None }
    }
}

/// The unit inside that switches, named so that it can be stopped.
const SWITCH_UNIT: &str = "nixos-nspawn-switch.service";

/// Has the container switch to the new system, within `limit`.
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
    // ExecReload= would go on inside when its time is over (systemd.service(5)); this unit can be stopped.
    let begin = Instant::now();
    let started = host
        .manager("systemd-run")
        .arg(format!("--machine={name}"))
        .args(["--quiet", "--collect", "--wait", "--pipe", "--service-type=exec"])
        .arg(format!("--unit={SWITCH_UNIT}"))
        .arg(format!("--property=RuntimeMaxSec={}", limit.as_secs().max(1)))
        .args([switch.as_str(), "test"])
        .limit(limit + Duration::from_secs(5))
        .status_with_messages();
    let status = match started {
        Ok(status) => status,
        Err(error) => {
            // After an interrupt, too.
            crate::base::interrupt::clean_up_begins();
            let machine = format!("--machine={name}");
            let _ = host.manager("systemctl").args([machine.as_str(), "stop", SWITCH_UNIT]).output();
            return Err(error);
        }
    };
    match status.code() {
        Some(0) => Ok(Reloaded::Yes),
        Some(4) => Ok(Reloaded::UnitsFailed),
        Some(100) => Ok(Reloaded::NeedsRestart("the new system asks for a restart".to_owned())),
        _ if begin.elapsed() >= limit => {
            let seconds = limit.as_secs();
            let message =
                format!("switch-to-configuration in container '{name}' took longer than {seconds} s");
            Err(Failed::Program(message).into())
        }
        _ => Err(anyhow!(Failed::Program(format!(
            "switch-to-configuration in container '{name}' failed: {status}"
        )))),
    }
}

/// Stops and starts the container, and looks whether it runs what was planned. Only the start is bound by the limit: how
/// long a stop may take is the unit's affair.
pub(crate) fn restart(host: &Host, name: &MachineName, plan: Option<&str>, limit: StartLimit) -> Result<()> {
    stop(host, name)?;
    start(host, name, plan, limit)
}

/// Stops the container, whatever a connection may make of it at once.
pub(crate) fn stop(host: &Host, name: &MachineName) -> Result<()> {
    host.manager("systemctl").args(["stop", "--"]).arg(unit_name(name)).output().map(|_| ())
}

/// Starts the container, and looks whether it runs what was planned. Shortly before its time is over, what it waits for is
/// reported: once systemd stops it, the container can no longer be asked.
pub(crate) fn start(host: &Host, name: &MachineName, plan: Option<&str>, limit: StartLimit) -> Result<()> {
    // A start limit reached by earlier failures must not refuse this one.
    systemd::reset_failed(host, name);
    let call = || host.manager("systemctl").args(["start", "--"]).arg(unit_name(name));
    let begin = Instant::now();
    let mut error = call().limit(limit.look).output().err();
    crate::base::interrupt::check()?;
    // systemctl was ended, not the job: another call waits for the same one.
    if error.is_some() && begin.elapsed() >= limit.look && systemd::state(host, name)?.active == "activating"
    {
        host.report(Event::StillStarting {
            name: name.clone(),
            seconds: begin.elapsed().as_secs(),
            jobs: running_jobs(host, name),
            failed: systemd::failed_units(host, name).into_iter().collect(),
        });
        error = match limit.end {
            Some(end) => call().limit(end.saturating_sub(begin.elapsed())).output().err(),
            None => call().output().err(),
        };
    }
    came_up(host, name, plan, error)
}

/// A status of 0 proves nothing: the unit must be active with this plan.
fn came_up(host: &Host, name: &MachineName, plan: Option<&str>, error: Option<anyhow::Error>) -> Result<()> {
    crate::base::interrupt::check()?;
    let state = systemd::state(host, name)?;
    if state.active == "active" && state.plan.as_deref() == plan && error.is_none() {
        return Ok(());
    }
    let how = match state.active.as_str() {
        "failed" => format!("it failed ({})", state.result),
        "active" => "it runs with other settings than were planned".to_owned(),
        other => format!("it is still {other}"),
    };
    Err(Failed::Program(format!("container '{name}' did not start: {how}")).into())
}
