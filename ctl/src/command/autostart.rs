//! `autostart`: starts, all at once, what should run and does not, as after an evening of maintenance. Each container is
//! reported by itself, and one that fails does not keep another from starting. What systemd has not loaded as planned
//! is never started: it would be the bare template.

use std::fmt;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::output::{Tone, painted, print, print_json, tell};
use crate::change::settle::repair;
use crate::cli::Autostart;
use crate::fact::overview::{Container, Overview};
use crate::host::lock::Lock;
use crate::host::runtime_files::tidy;
use crate::host::systemd;

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    AlreadyRunning,
    Started,
    WouldStart,
    Failed,
    Refused,
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AlreadyRunning => "already running",
            Self::Started => "started",
            Self::WouldStart => "would be started",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        })
    }
}

impl Outcome {
    fn tone(self) -> Tone {
        match self {
            Self::Started => Tone::Good,
            Self::Failed | Self::Refused => Tone::Bad,
            Self::Skipped => Tone::Doubtful,
            Self::AlreadyRunning | Self::WouldStart => Tone::Plain,
        }
    }
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Report {
    name: MachineName,
    outcome: Outcome,
    /// Why it does not run.
    reason: Option<String>,
}

/// Runs the command.
pub(crate) fn autostart(context: &Context, arguments: &Autostart) -> Result<()> {
    context.need_systemd()?;
    if !arguments.dry_run {
        context.need_root("autostart")?;
        repair(context);
        tidy(context);
    }
    let mut overview = Overview::gather(context)?;
    if candidates(&overview).iter().any(|container| container.reload_needed) {
        if arguments.dry_run {
            tell("would run 'systemctl daemon-reload' first: systemd has not loaded all plans");
        } else {
            systemd::daemon_reload(context)?;
            overview = Overview::gather(context)?;
        }
    }
    if let Some(reason) = overview.unknown_states {
        return Err(Failed::Program(reason).into());
    }
    if let Some(reason) = &overview.generator_fault {
        tell(reason);
    }
    let mut reports: Vec<Report> = candidates(&overview).into_iter().map(first_look).collect();
    if !arguments.dry_run {
        start(context, &overview, &mut reports)?;
        tidy(context);
    }
    if context.json {
        print_json(&reports)?;
    } else {
        print(&text(&reports, context.color))?;
        if reports.is_empty() {
            tell("no container starts with the host");
        }
    }
    for fault in &overview.faults {
        tell(&fault.text);
    }
    let failed = |report: &Report| matches!(report.outcome, Outcome::Failed | Outcome::Refused);
    if reports.iter().any(failed) || overview.faults.iter().any(|fault| fault.hides) {
        return Err(Failed::Silent.into());
    }
    Ok(())
}

/// The containers that start with the host, by our links or by those of `systemctl enable`.
fn candidates(overview: &Overview) -> Vec<&Container> {
    let starts = |container: &&Container| {
        container.intent_file.is_some() && (container.autostart || !container.enabled_links.is_empty())
    };
    overview.containers.values().filter(starts).collect()
}

/// What can be said before anything is done.
fn first_look(container: &Container) -> Report {
    let report = |outcome, reason: Option<String>| Report { name: container.name.clone(), outcome, reason };
    if container.runs() {
        return report(Outcome::AlreadyRunning, None);
    }
    if let Some(reason) = &container.refusal {
        return report(Outcome::Refused, Some(reason.clone()));
    }
    if container.masked {
        let remedy = format!("'systemctl unmask {}' lets it start again", unit_name(&container.name));
        return report(Outcome::Skipped, Some(format!("masked by 'systemctl mask'; {remedy}")));
    }
    report(Outcome::WouldStart, None)
}

/// Starts what should be, and reports what it came to.
fn start(context: &Context, overview: &Overview, reports: &mut [Report]) -> Result<()> {
    let mut locks = Vec::new();
    let mut names = Vec::new();
    for report in reports.iter_mut().filter(|report| report.outcome == Outcome::WouldStart) {
        let planned = overview.containers.get(&report.name);
        if planned.is_some_and(|container| container.reload_needed) {
            report.outcome = Outcome::Failed;
            report.reason = Some("systemd has not loaded its plan, also not by daemon-reload".to_owned());
            continue;
        }
        match Lock::container_if_free(context, &report.name)? {
            Some(lock) => {
                locks.push(lock);
                names.push(report.name.clone());
            }
            None => {
                report.outcome = Outcome::Skipped;
                report.reason = Some("another command is changing it".to_owned());
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    // Which of them failed is what the states tell; the error is for when they cannot be had.
    let started = systemd::start(context, &names);
    interrupt::check()?;
    let states = match systemd::states(context, &names) {
        Ok(states) => states,
        Err(error) => return Err(started.err().unwrap_or(error)),
    };
    for report in reports.iter_mut().filter(|report| names.contains(&report.name)) {
        let Some(state) = states.get(&report.name) else { continue };
        let hash = overview.containers.get(&report.name).and_then(|container| container.hash.as_deref());
        // Active without our plan is the bare template (another generator may have taken ours along).
        if state.active == "active" && state.plan.as_deref() == hash {
            report.outcome = Outcome::Started;
        } else {
            let unit = unit_name(&report.name);
            let result = if state.result.is_empty() { "unknown" } else { &state.result };
            report.outcome = Outcome::Failed;
            report.reason = Some(match state.active.as_str() {
                "active" => format!("runs without its settings: stop it with 'systemctl stop {unit}'"),
                "failed" => format!("result '{result}'; 'journalctl -u {unit}' tells why"),
                other => format!("is {other}, result '{result}'; 'journalctl -u {unit}' tells why"),
            });
        }
    }
    Ok(())
}

fn text(reports: &[Report], color: bool) -> String {
    let line = |report: &Report| {
        let reason = report.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let outcome = painted(&report.outcome.to_string(), report.outcome.tone(), color);
        format!("{}: {outcome}{reason}\n", report.name)
    };
    reports.iter().map(line).collect()
}
