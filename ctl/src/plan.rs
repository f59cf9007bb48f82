//! `plan`, and `update --dry-run`: builds as an update would and tells what it would change and do. Nothing but Nix's
//! store grows; no generation is made.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::host_reach;

use crate::activate::{Action, decide};
use crate::cli::Plan;
use crate::context::{Context, imperative};
use crate::exit::Failed;
use crate::nix::Nix;
use crate::source::Said;
use crate::update::{names, next, same_but_source, strategy};
use crate::{dependents, diff, host, intent_file, output, systemd};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Plan) -> Result<()> {
    context.need_systemd()?;
    let nix = Nix::find(context)?;
    let names = names(context, &arguments.names, arguments.all, &arguments.from)?;
    let mut would_change = false;
    let mut failed = false;
    for name in &names {
        match one(context, &nix, name, arguments) {
            Ok(changes) => would_change |= changes,
            Err(error) if names.len() == 1 => return Err(error),
            Err(error) => {
                output::tell(&format!("{error:#}"));
                failed = true;
            }
        }
    }
    match failed {
        true => Err(Failed::Silent.into()),
        false if would_change && arguments.exit_code => Err(Failed::WouldChange.into()),
        false => Ok(()),
    }
}

fn one(context: &Context, nix: &Nix, name: &MachineName, arguments: &Plan) -> Result<bool> {
    let loaded = host::load(context)?;
    let old = imperative(&loaded, name)?;
    let said = Said::of(&arguments.from, &arguments.nix_args);
    let next = next(context, nix, name, old, &said, None)?;
    if same_but_source(old, &next.intent) {
        output::print(&format!("container '{name}': is up to date\n"))?;
        return Ok(false);
    }
    intent_file::check(&loaded, name, &next.intent)?;
    let runs = !systemd::state(context, name)?.stopped();
    let decision = decide(name, old, &next.intent, strategy(arguments.strategy, &next.intent), runs)?;
    let mut lines = diff::between(context, name, old, &next.intent)?;
    lines.extend(dependents::unknown_names(&loaded, &next.intent).iter().map(|note| format!("note: {note}")));
    lines.extend(diff::closure(context, &old.toplevel, &next.intent.toplevel));
    let before = host_reach(&old.container);
    let added = host_reach(&next.intent.container).into_iter().filter(|line| !before.contains(line));
    lines.extend(
        added.map(|line| format!("would reach further into the host: {line} (needs --allow-host-changes)")),
    );
    let action = match decision.action {
        Action::Reload => "would reload it",
        Action::Restart => "would restart it",
        Action::AtNextStart | Action::Nothing => "would not touch it",
    };
    lines.push(format!("container '{name}': {action}: {}", decision.reason));
    output::print(&(lines.join("\n") + "\n"))?;
    Ok(true)
}
