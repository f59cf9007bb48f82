//! `plan`, and `update --dry-run`: builds as an update would and tells what it would change and do. Nothing but Nix's
//! store grows; no generation is made. What is told, [`Planned`], is also that of `rollback --dry-run`.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::host_reach;
use serde::Serialize;

use crate::activate::{Decision, decide};
use crate::cli::Plan;
use crate::context::{Context, imperative};
use crate::diff::{Difference, between};
use crate::exit::Failed;
use crate::nix::Nix;
use crate::source::Said;
use crate::status::Action;
use crate::update::{names, next, same_but_source, strategy};
use crate::{dependents, host, intent_file, output, systemd};

/// What would change and be done, as scripts see it.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    name: MachineName,
    /// Whether anything would.
    changes: bool,
    old_generation: Option<u64>,
    /// The generation that a rollback goes to; null for one that would be made.
    generation: Option<u64>,
    /// What would be done to the container, and why; null if nothing would change.
    action: Option<Action>,
    reason: Option<String>,
    #[serde(flatten)]
    difference: Difference,
    /// What of the host the container would reach and does not now.
    host_reach_added: Vec<String>,
    notes: Vec<String>,
    /// Why it cannot be told.
    error: Option<String>,
}

impl Planned {
    /// Nothing would change.
    fn nothing(name: &MachineName, generation: Option<u64>) -> Self {
        Self {
            name: name.clone(),
            changes: false,
            old_generation: generation,
            generation,
            action: None,
            reason: None,
            difference: Difference::default(),
            host_reach_added: Vec::new(),
            notes: Vec::new(),
            error: None,
        }
    }

    /// From one intent to another, to `generation` if that is known.
    pub(crate) fn of(
        context: &Context,
        name: &MachineName,
        [old, new]: [&Intent; 2],
        decision: Decision,
        generation: Option<u64>,
    ) -> Result<Self> {
        let before = host_reach(&old.container);
        let mut added = host_reach(&new.container);
        added.retain(|line| !before.contains(line));
        Ok(Self {
            changes: true,
            generation,
            action: Some(decision.action.into()),
            reason: Some(decision.reason),
            difference: between(context, name, old, new)?,
            host_reach_added: added,
            ..Self::nothing(name, old.generation)
        })
    }

    /// For people, lines with their ends.
    pub(crate) fn text(&self) -> String {
        let Self { name, difference, .. } = self;
        let (Some(action), Some(reason)) = (self.action, &self.reason) else {
            return format!("container '{name}': is up to date\n");
        };
        let mut lines: Vec<String> = difference.lines().into_iter().map(str::to_owned).collect();
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(difference.closure.clone());
        lines.extend(
            self.host_reach_added.iter().map(|line| {
                format!("would reach further into the host: {line} (needs --allow-host-changes)")
            }),
        );
        let back = match self.generation {
            Some(number) => format!("would go back to generation {number}, "),
            None => String::new(),
        };
        let action = match action {
            Action::Reload => "would reload it",
            Action::Restart => "would restart it",
            Action::Start | Action::None => "would not touch it",
        };
        lines.push(format!("container '{name}': {back}{action}: {reason}"));
        lines.join("\n") + "\n"
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Plan) -> Result<()> {
    context.need_systemd()?;
    let nix = Nix::find(context)?;
    let names = names(context, &arguments.names, arguments.all, &arguments.from)?;
    let mut all = Vec::new();
    let mut failed = None;
    for name in &names {
        match one(context, &nix, name, arguments) {
            Ok(planned) if context.json => all.push(planned),
            Ok(planned) => {
                output::print(&planned.text())?;
                all.push(planned);
            }
            Err(error) => {
                all.push(Planned { error: Some(format!("{error:#}")), ..Planned::nothing(name, None) });
                if names.len() > 1 {
                    output::tell(&format!("{error:#}"));
                    failed = Some(Failed::Silent.into());
                } else {
                    failed = Some(error);
                }
            }
        }
    }
    if context.json {
        output::print_json(&all)?;
    }
    match failed {
        Some(error) => Err(error),
        None if arguments.exit_code && all.iter().any(|one| one.changes) => Err(Failed::WouldChange.into()),
        None => Ok(()),
    }
}

fn one(context: &Context, nix: &Nix, name: &MachineName, arguments: &Plan) -> Result<Planned> {
    let loaded = host::load(context)?;
    let old = imperative(&loaded, name)?;
    let said = Said::of(&arguments.from, &arguments.nix_args);
    let next = next(context, nix, name, old, &said, None)?;
    if same_but_source(old, &next.intent) {
        return Ok(Planned::nothing(name, old.generation));
    }
    intent_file::check(&loaded, name, &next.intent)?;
    let runs = !systemd::state(context, name)?.stopped();
    let decision = decide(name, old, &next.intent, strategy(arguments.strategy, &next.intent), runs)?;
    let notes = dependents::unknown_names(&loaded, &next.intent);
    Ok(Planned { notes, ..Planned::of(context, name, [old, &next.intent], decision, None)? })
}
