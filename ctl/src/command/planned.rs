//! Shows what a change would do, for `plan` and the dry runs of `update` and `rollback`.

use anyhow::Result;
use nixos_nspawn_units::intent::Strategy;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::secrets::without_secrets;
use crate::change::plan::plan;
use crate::change::planned::Planned;
use crate::change::reach::ReachPlan;
use crate::decision::overrides;
use crate::decision::overrides::OverrideChanges;
use crate::host::last_activation::AppliedAction;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// The options of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Whether to ask servers for the newest revision.
    pub(crate) refresh: bool,
    /// The strategy, or the container's own.
    pub(crate) strategy: Option<Strategy>,
    /// Whether `--all` is given, so that containers that are held or have no source are skipped.
    pub(crate) all: bool,
    /// Whether a generation that failed before is not skipped either.
    pub(crate) retry: bool,
    /// Whether the exit status shows that something would change.
    pub(crate) exit_code: bool,
}

/// Shows what an update of these containers would do.
pub(crate) fn run(
    context: &Context,
    names: impl FnOnce() -> Result<Vec<MachineName>>,
    what: (&SourceArguments, Option<&OverrideChanges>),
    how: How,
) -> Result<()> {
    context.need_systemd()?;
    let How { refresh, strategy, all: of_all, retry, exit_code } = how;
    let nix = Nix::find(context)?.refreshing(refresh);
    let names = names()?;
    let mut all = Vec::new();
    let mut failed = None;
    for name in &names {
        match plan(context, &nix, name, what, strategy, (of_all, retry)) {
            Ok(planned) if context.json => all.push(planned),
            Ok(planned) => {
                context.screen.print(&text(&planned))?;
                all.push(planned);
            }
            Err(error) => {
                all.push(Planned {
                    error: Some(without_secrets(&format!("{error:#}"))),
                    ..Planned::nothing(name, None)
                });
                if names.len() > 1 {
                    context.screen.tell(&format!("{error:#}"));
                    failed = Some(Failed::Silent.into());
                } else {
                    failed = Some(error);
                }
            }
        }
    }
    if context.json {
        context.screen.print_json(&all)?;
    }
    match failed {
        Some(error) => Err(error),
        None if exit_code && all.iter().any(|one| one.changes) => Err(Failed::WouldChange.into()),
        None => Ok(()),
    }
}

/// Returns lines about what would change in the reach, and the consequences.
fn reach(plan: &ReachPlan) -> Vec<String> {
    let mut lines = plan.changes.lines();
    match &plan.token {
        Some(token) if plan.needs_consent => {
            lines.push(format!("needs --allow-host-changes={token}, which accepts exactly that"));
        }
        None if plan.changes.only_takes_away() => {
            lines.push("only takes reach away, so a failure inside will not undo it".to_owned());
        }
        _ => {}
    }
    lines
}

/// Returns the text for people, with line endings.
pub(crate) fn text(planned: &Planned) -> String {
    let Planned { name, difference, .. } = planned;
    let (Some(action), Some(reason)) = (planned.action, &planned.reason) else {
        return match &planned.skipped {
            Some(reason) => format!("container '{name}': would be skipped: {reason}\n"),
            None => format!("container '{name}': is up to date\n"),
        };
    };
    let mut lines: Vec<String> = difference.lines().into_iter().map(str::to_owned).collect();
    lines.extend(overrides::lines(&planned.overrides).iter().map(|line| format!("set on this host: {line}")));
    lines.extend(planned.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(difference.closure.clone());
    lines.extend(reach(&planned.host_reach));
    let back = match planned.generation {
        Some(number) => format!("would go back to generation {number}, "),
        None => String::new(),
    };
    let action = match action {
        AppliedAction::Reload => "would reload it",
        AppliedAction::Restart => "would restart it",
        AppliedAction::Start | AppliedAction::None => "would not touch it",
    };
    lines.push(format!("container '{name}': {back}{action}: {reason}"));
    lines.join("\n") + "\n"
}
