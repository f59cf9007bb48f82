//! `plan`, and `update --dry-run`: builds as an update would and tells what it would change and do. Nothing but Nix's
//! store grows; no generation is made. What is told, [`Planned`], is also that of `rollback --dry-run`.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output;
use crate::change::next::{names, next, same_but_source, strategy};
use crate::change::planned::Planned;
use crate::cli::Plan;
use crate::decision::activation::decide;
use crate::fact::dependents;
use crate::fact::lookup::imperative;
use crate::host::{host_file, intent_file, systemd};
use crate::nix::source::Said;
use crate::nix::tool::Nix;

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
    let loaded = host_file::load(context)?;
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
