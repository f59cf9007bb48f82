//! `activate`: applies the recorded configuration to a running container.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::activate::{Activated, activate};
use crate::cli::Activate;
use crate::command::arguments;
use crate::command::begin::begin;
use crate::command::several::{each, machine_names};
use crate::decision::activation::{Action, Decision};
use crate::host::last_activation;

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Activate) -> Result<()> {
    context.need_systemd()?;
    let names = machine_names(&given.names)?;
    let dry_run = given.dry_run;
    if !dry_run {
        begin(context, "activate")?;
    }
    let strategy = given.strategy.map(arguments::strategy);
    each(
        context,
        &names,
        |name| name,
        |name| {
            let activated = activate(context, name, strategy, dry_run)?;
            let Decision { action, reason } = &activated.decision;
            let answer = ActivatedAnswer {
                name: name.clone(),
                dry_run,
                action: (*action).into(),
                reason: reason.clone(),
            };
            Ok((answer, format!("container '{name}'{}\n", text(&activated, dry_run))))
        },
    )
}

/// What was or would be done, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ActivatedAnswer {
    name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    action: last_activation::AppliedAction,
    reason: String,
}

fn text(activated: &Activated, dry_run: bool) -> String {
    let Activated { decision: Decision { action, reason }, running } = activated;
    match (dry_run, running) {
        (true, _) => format!(": would {} ({reason})", infinitive(*action)),
        (false, false) => " does not run, its next start applies the recorded configuration".to_owned(),
        (false, true) => format!(" {} ({reason})", past(*action)),
    }
}

fn infinitive(action: Action) -> &'static str {
    match action {
        Action::AtNextStart | Action::Nothing => "do nothing",
        Action::Reload => "reload",
        Action::Restart => "restart",
    }
}

fn past(action: Action) -> &'static str {
    match action {
        Action::AtNextStart | Action::Nothing => "is left as it is",
        Action::Reload => "was reloaded",
        Action::Restart => "was restarted",
    }
}
