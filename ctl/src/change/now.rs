//! `enable --now` and `disable --now`: starts or stops a container after its setting was changed.

use std::slice;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::change::autostart::{StartOutcome, start_these};
use crate::change::settle;
use crate::host::systemd;

/// Starts a container that does not run, or stops one that does. Returns whether it did anything.
pub(crate) fn now(host: &Host, name: &MachineName, runs: bool) -> Result<bool> {
    if runs { start(host, name) } else { stop(host, name) }
}

/// Returns whether [`now`] would do anything.
pub(crate) fn would(host: &Host, name: &MachineName, runs: bool) -> Result<bool> {
    Ok(systemd::state(host, name)?.stopped() == runs)
}

fn start(host: &Host, name: &MachineName) -> Result<bool> {
    host.report(Event::Starting { name: name.clone() });
    let outcome = start_these(host, slice::from_ref(name))?.pop().map(|(_, outcome)| outcome);
    match outcome {
        Some(StartOutcome::Started) => Ok(true),
        Some(StartOutcome::AlreadyRunning) => Ok(false),
        Some(outcome) => Err(Failed::Program(outcome.why(name).unwrap_or_default()).into()),
        None => Err(Failed::Program("another command has removed it".to_owned()).into()),
    }
}

fn stop(host: &Host, name: &MachineName) -> Result<bool> {
    let _lock = settle::lock(host, name)?;
    if systemd::state(host, name)?.stopped() {
        return Ok(false);
    }
    systemd::stop_once(host, name)?;
    Ok(true)
}
