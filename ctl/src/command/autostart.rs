//! `autostart`: starts containers that should run and do not, and reports each of them.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
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
        let word = match outcome {
            StartOutcome::AlreadyRunning => StartWord::AlreadyRunning,
            StartOutcome::Started => StartWord::Started,
            StartOutcome::WouldStart => StartWord::WouldStart,
            StartOutcome::Refused(_) => StartWord::Refused,
            StartOutcome::Masked | StartOutcome::Busy => StartWord::Skipped,
            StartOutcome::NotLoaded | StartOutcome::WithoutSettings | StartOutcome::Failed { .. } => {
                StartWord::Failed
            }
        };
        Self { name: name.clone(), outcome: word, reason: outcome.why(name) }
    }
}

fn text(answers: &[StartAnswer], color: bool) -> String {
    let line = |StartAnswer { name, outcome, reason }: &StartAnswer| {
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{name}: {}{reason}\n", painted(outcome.text(), outcome.tone(), color))
    };
    answers.iter().map(line).collect()
}
