//! Starts all containers that should run and do not, in parallel, for example after maintenance. A failure of one
//! does not prevent others from starting. A container whose plan is not loaded is never started: it would run as the
//! bare template.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::tidy::tidy;
use crate::fact::overview::{Container, Fault, Overview};
use crate::host::lock::Lock;
use crate::host::record::Begun;
use crate::host::{systemd, unit_states};

/// What was or would be started.
pub(crate) struct Started {
    /// The containers that start with the host.
    pub(crate) containers: Vec<(MachineName, StartOutcome)>,
    /// Files in /etc/nixos-nspawn that are not containers.
    pub(crate) faults: Vec<Fault>,
}

/// The result for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StartOutcome {
    /// It was running before.
    AlreadyRunning,
    /// It was started.
    Started,
    /// It would be started.
    WouldStart,
    /// Its start is refused.
    Refused(String),
    /// `systemctl mask` prevents it from starting.
    Masked,
    /// Another command is changing it.
    Busy,
    /// systemd has not loaded its plan, even after a daemon-reload.
    NotLoaded,
    /// It runs as the bare template: another generator may have discarded our units.
    WithoutSettings,
    /// It did not start.
    Failed {
        /// `ActiveState=`
        active: String,
        /// `Result=`
        result: String,
    },
}

impl StartOutcome {
    /// Returns why the container does not run, or not as it should, with the next step.
    pub(crate) fn why(&self, name: &MachineName) -> Option<String> {
        let unit = unit_name(name);
        Some(match self {
            Self::AlreadyRunning | Self::Started | Self::WouldStart => return None,
            Self::Refused(reason) => reason.clone(),
            Self::Masked => {
                format!("masked by 'systemctl mask'; 'systemctl unmask {unit}' lets it start again")
            }
            Self::Busy => "another command is changing it".to_owned(),
            Self::NotLoaded => "systemd has not loaded its plan, even after a daemon-reload".to_owned(),
            Self::WithoutSettings => {
                format!("runs without its settings: stop it with 'systemctl stop {unit}'")
            }
            Self::Failed { active, result } => {
                let is = if active == "failed" { String::new() } else { format!("is {active}, ") };
                let result = if result.is_empty() { "unknown" } else { result };
                format!("{is}result '{result}'; 'journalctl -u {unit}' shows why")
            }
        })
    }
}

/// Starts the containers that should run.
pub(crate) fn autostart(host: &Host, dry_run: bool) -> Result<Started> {
    if !dry_run {
        tidy(host);
    }
    let mut overview = Overview::gather(host)?;
    if candidates(&overview).iter().any(|container| container.reload_needed) {
        if dry_run {
            host.report(Event::ReloadDue);
        } else {
            systemd::daemon_reload(host)?;
            overview = Overview::gather(host)?;
        }
    }
    if let Some(reason) = overview.unknown_states {
        return Err(Failed::Program(reason).into());
    }
    if let Some(reason) = &overview.generator_fault {
        host.report(Event::GeneratorFault { reason: reason.clone() });
    }
    let looked = candidates(&overview).into_iter();
    let mut containers: Vec<_> =
        looked.map(|container| (container.name.clone(), first_look(container))).collect();
    if !dry_run {
        start(host, &overview, &mut containers)?;
        tidy(host);
    }
    Ok(Started { containers, faults: overview.faults })
}

/// Starts those of these containers that do not run.
pub(crate) fn start_these(host: &Host, names: &[MachineName]) -> Result<Vec<(MachineName, StartOutcome)>> {
    let overview = Overview::gather(host)?;
    if let Some(reason) = overview.unknown_states {
        return Err(Failed::Program(reason).into());
    }
    let looked = names.iter().filter_map(|name| overview.containers.get(name));
    let mut containers: Vec<_> = looked.map(|one| (one.name.clone(), first_look(one))).collect();
    start(host, &overview, &mut containers)?;
    Ok(containers)
}

/// Returns the containers that start with the host, by our links or those of `systemctl enable`. What a killed command
/// has half created or half removed is not one of them.
fn candidates(overview: &Overview) -> Vec<&Container> {
    let half = |container: &Container| container.unfinished.is_some_and(|one| one.step != Begun::Updating);
    let starts = |container: &&Container| {
        container.intent_file.is_some()
            && !half(container)
            && (container.autostart || !container.enabled_links.is_empty())
    };
    overview.containers.values().filter(starts).collect()
}

/// Returns the result as far as it is known before anything is done.
fn first_look(container: &Container) -> StartOutcome {
    match &container.refusal {
        _ if container.runs() => StartOutcome::AlreadyRunning,
        Some(reason) => StartOutcome::Refused(reason.clone()),
        None if container.masked => StartOutcome::Masked,
        None => StartOutcome::WouldStart,
    }
}

/// Starts containers and stores the results.
fn start(host: &Host, overview: &Overview, containers: &mut [(MachineName, StartOutcome)]) -> Result<()> {
    let mut locks = Vec::new();
    for (name, outcome) in containers.iter_mut().filter(|(_, outcome)| *outcome == StartOutcome::WouldStart) {
        if overview.containers.get(name).is_some_and(|container| container.reload_needed) {
            *outcome = StartOutcome::NotLoaded;
            continue;
        }
        match Lock::container_if_free(host, name)? {
            Some(lock) => locks.push(lock),
            None => *outcome = StartOutcome::Busy,
        }
    }
    if locks.is_empty() {
        return Ok(());
    }
    // Until it was locked, another command may have changed or removed it: without settings it would start as the bare
    // template.
    let overview = Overview::gather(host)?;
    for (name, outcome) in containers.iter_mut().filter(|(_, outcome)| *outcome == StartOutcome::WouldStart) {
        let container = overview.containers.get(name).filter(|container| container.intent_file.is_some());
        *outcome = match container {
            None => StartOutcome::Busy,
            Some(container) if container.reload_needed => StartOutcome::NotLoaded,
            Some(container) => first_look(container),
        };
    }
    let names: Vec<MachineName> = containers
        .iter()
        .filter(|(_, outcome)| *outcome == StartOutcome::WouldStart)
        .map(|(name, _)| name.clone())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    // The states show which of them failed; the error matters only if they are unavailable.
    let started = systemd::start(host, &names);
    interrupt::check()?;
    let states = match unit_states::states(host, &names) {
        Ok(states) => states,
        Err(error) => return Err(started.err().unwrap_or(error)),
    };
    for (name, outcome) in containers.iter_mut().filter(|(_, outcome)| *outcome == StartOutcome::WouldStart) {
        let Some(state) = states.get(name) else {
            *outcome = StartOutcome::Failed { active: "unknown".to_owned(), result: "unknown".to_owned() };
            continue;
        };
        let hash = overview.containers.get(name).and_then(|container| container.hash.as_deref());
        *outcome = match state.active.as_str() {
            "active" if state.plan.as_deref() == hash => StartOutcome::Started,
            "active" => StartOutcome::WithoutSettings,
            _ => StartOutcome::Failed { active: state.active.clone(), result: state.result.clone() },
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::rc::Rc;

    use super::*;
    use crate::testing::{Played, web};

    fn calls_of_start(played: &Played) -> usize {
        played.calls().iter().filter(|call| call.starts_with("systemctl start")).count()
    }

    #[test]
    fn a_container_that_is_removed_meanwhile_is_not_started() {
        let played = Played::new();
        played.record();
        played.stop();
        let started = autostart(&played.host, false).unwrap();
        assert_eq!(started.containers, [(web(), StartOutcome::Started)]);
        assert_eq!(calls_of_start(&played), 1);

        played.stop();
        let intent = played.intent();
        let looks = Rc::new(Cell::new(0));
        // It is removed after it was looked at for the first time, and before it is locked.
        played.on_call(move |words, _| {
            if words.iter().any(|word| word == "show") {
                looks.set(looks.get() + 1);
                if looks.get() == 1 {
                    fs::remove_file(&intent).unwrap();
                }
            }
            None
        });
        let started = autostart(&played.host, false).unwrap();
        assert_eq!(started.containers, [(web(), StartOutcome::Busy)]);
        assert_eq!(calls_of_start(&played), 1);
    }
}
