//! `autostart`: starts what should run and does not. Each container is reported by itself.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::change::autostart;
use crate::change::autostart::{Outcome, Started};
use crate::cli::Autostart;
use crate::command::begin::begin;

/// Runs the command.
pub(crate) fn autostart(context: &Context, arguments: &Autostart) -> Result<()> {
    context.need_systemd()?;
    if !arguments.dry_run {
        begin(context, "autostart")?;
    }
    let Started { containers, faults } = autostart::autostart(context, arguments.dry_run)?;
    let answers: Vec<Answer> = containers.iter().map(|(name, outcome)| Answer::of(name, outcome)).collect();
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
    let failed = |answer: &Answer| matches!(answer.outcome, Word::Failed | Word::Refused);
    if answers.iter().any(failed) || faults.iter().any(|fault| fault.hides) {
        return Err(Failed::Silent.into());
    }
    Ok(())
}

/// The outcome in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    AlreadyRunning,
    Started,
    WouldStart,
    Failed,
    Refused,
    Skipped,
}

impl Word {
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
struct Answer {
    name: MachineName,
    outcome: Word,
    /// Why it does not run.
    reason: Option<String>,
}

impl Answer {
    fn of(name: &MachineName, outcome: &Outcome) -> Self {
        let unit = unit_name(name);
        let (outcome, reason) = match outcome {
            Outcome::AlreadyRunning => (Word::AlreadyRunning, None),
            Outcome::Started => (Word::Started, None),
            Outcome::WouldStart => (Word::WouldStart, None),
            Outcome::Refused(reason) => (Word::Refused, Some(reason.clone())),
            Outcome::Masked => {
                let remedy = format!("'systemctl unmask {unit}' lets it start again");
                (Word::Skipped, Some(format!("masked by 'systemctl mask'; {remedy}")))
            }
            Outcome::Busy => (Word::Skipped, Some("another command is changing it".to_owned())),
            Outcome::NotLoaded => {
                let reason = "systemd has not loaded its plan, also not by daemon-reload";
                (Word::Failed, Some(reason.to_owned()))
            }
            Outcome::WithoutSettings => {
                let reason = format!("runs without its settings: stop it with 'systemctl stop {unit}'");
                (Word::Failed, Some(reason))
            }
            Outcome::Failed { active, result } => {
                let is = if active == "failed" { String::new() } else { format!("is {active}, ") };
                let result = if result.is_empty() { "unknown" } else { result };
                let reason = format!("{is}result '{result}'; 'journalctl -u {unit}' tells why");
                (Word::Failed, Some(reason))
            }
        };
        Self { name: name.clone(), outcome, reason }
    }
}

fn text(answers: &[Answer], color: bool) -> String {
    let line = |Answer { name, outcome, reason }: &Answer| {
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{name}: {}{reason}\n", painted(outcome.text(), outcome.tone(), color))
    };
    answers.iter().map(line).collect()
}
