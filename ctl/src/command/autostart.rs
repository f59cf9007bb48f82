//! `autostart`: starts containers that should run and do not, and reports each of them.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::change::autostart;
use crate::change::autostart::{StartOutcome, Started};
use crate::cli::Autostart;
use crate::command::begin::begin;

/// Runs the command.
pub(crate) fn autostart(context: &Context, arguments: &Autostart) -> Result<()> {
    context.need_systemd()?;
    if !arguments.dry_run {
        begin(context, "autostart")?;
    }
    let Started { containers, faults } = autostart::autostart(context, arguments.dry_run)?;
    let answers: Vec<StartAnswer> =
        containers.iter().map(|(name, outcome)| StartAnswer::of(name, outcome)).collect();
    if context.json {
        context.screen.print_json(&answers)?;
    } else {
        context.screen.print(&text(&answers, context.color))?;
        if answers.is_empty() {
            context.screen.tell("no container starts with the host");
        }
    }
    for fault in &faults {
        context.screen.tell(&fault.text);
    }
    let failed = |answer: &StartAnswer| matches!(answer.outcome, StartWord::Failed | StartWord::Refused);
    if answers.iter().any(failed) || faults.iter().any(|fault| fault.hides) {
        return Err(Failed::Silent.into());
    }
    Ok(())
}

/// The result in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum StartWord {
    AlreadyRunning,
    Started,
    WouldStart,
    Failed,
    Refused,
    Skipped,
}

impl StartWord {
    fn text(self) -> &'static str {
        match self {
            Self::AlreadyRunning => "already running",
            Self::Started => "started",
            Self::WouldStart => "would be started",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Started => Tone::Good,
            Self::Failed | Self::Refused => Tone::Bad,
            Self::Skipped => Tone::Doubtful,
            Self::AlreadyRunning | Self::WouldStart => Tone::Plain,
        }
    }
}

/// One container, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct StartAnswer {
    name: MachineName,
    outcome: StartWord,
    /// Why it does not run.
    reason: Option<String>,
}

impl StartAnswer {
    fn of(name: &MachineName, outcome: &StartOutcome) -> Self {
        let unit = unit_name(name);
        let (outcome, reason) = match outcome {
            StartOutcome::AlreadyRunning => (StartWord::AlreadyRunning, None),
            StartOutcome::Started => (StartWord::Started, None),
            StartOutcome::WouldStart => (StartWord::WouldStart, None),
            StartOutcome::Refused(reason) => (StartWord::Refused, Some(reason.clone())),
            StartOutcome::Masked => {
                let remedy = format!("'systemctl unmask {unit}' lets it start again");
                (StartWord::Skipped, Some(format!("masked by 'systemctl mask'; {remedy}")))
            }
            StartOutcome::Busy => (StartWord::Skipped, Some("another command is changing it".to_owned())),
            StartOutcome::NotLoaded => {
                let reason = "systemd has not loaded its plan, even after a daemon-reload";
                (StartWord::Failed, Some(reason.to_owned()))
            }
            StartOutcome::WithoutSettings => {
                let reason = format!("runs without its settings: stop it with 'systemctl stop {unit}'");
                (StartWord::Failed, Some(reason))
            }
            StartOutcome::Failed { active, result } => {
                let is = if active == "failed" { String::new() } else { format!("is {active}, ") };
                let result = if result.is_empty() { "unknown" } else { result };
                let reason = format!("{is}result '{result}'; 'journalctl -u {unit}' shows why");
                (StartWord::Failed, Some(reason))
            }
        };
        Self { name: name.clone(), outcome, reason }
    }
}

fn text(answers: &[StartAnswer], color: bool) -> String {
    let line = |StartAnswer { name, outcome, reason }: &StartAnswer| {
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{name}: {}{reason}\n", painted(outcome.text(), outcome.tone(), color))
    };
    answers.iter().map(line).collect()
}
