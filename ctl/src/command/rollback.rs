//! `rollback`: goes back to an earlier generation. Intent, unit files and profile move together, by the same way as an
//! update; a generation whose system is gone from the store is refused before anything changes.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::{Failed, refuse};
use crate::base::output;
use crate::change::next;
use crate::change::next::{check_reach, limit_or_start, newest, profile_folder, ready, strategy};
use crate::change::planned::Planned;
use crate::change::profile_steps::align_profile;
use crate::change::settle::{lock_settled, repair};
use crate::change::switch::{Switch, Target};
use crate::change::updated::{Outcome, Updated};
use crate::cli::Rollback;
use crate::decision::activation::{Action, decide};
use crate::fact::generations::{Generation, generations};
use crate::fact::lookup::{imperative, machine_name};
use crate::fact::{dependents, installation};
use crate::host::intent_file::intent_path;
use crate::host::profile_links::profile_link;
use crate::host::record::{Details, Record, Step};
use crate::host::{credentials, host_file, intent_file, systemd};
use crate::nix::profile;
use crate::nix::tool::Nix;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Rollback) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    context.need_systemd()?;
    if arguments.dry_run {
        let loaded = host_file::load(context)?;
        let old = imperative(&loaded, &name)?;
        let (generation, new) = target(context, &name, old, arguments.to)?;
        intent_file::check(&loaded, &name, &new)?;
        let runs = !systemd::state(context, &name)?.stopped();
        let decision = decide(&name, old, &new, strategy(arguments.activation.strategy, &new), runs)?;
        let planned = Planned::of(context, &name, [old, &new], decision, Some(generation.number))?;
        return context.answer(&planned, Planned::text);
    }
    context.need_root("rollback")?;
    match back(context, arguments, &name) {
        Ok(updated) => context.answer(&updated, |updated| match updated.result {
            Outcome::UpToDate => {
                let number = updated.generation.unwrap_or_default();
                format!("container '{name}': generation {number} is current already\n")
            }
            _ => updated.line() + "\n",
        }),
        Err(error) => {
            if context.json {
                output::print_json(&Updated::failed(&name, &error))?;
            }
            Err(error)
        }
    }
}

fn back(context: &Context, arguments: &Rollback, name: &MachineName) -> Result<Updated> {
    let limit = crate::change::next::limit(&arguments.activation)?;
    installation::check(context)?;
    let nix = Nix::find(context)?;
    // First: what belongs to others is settled also when this one has nothing to go back to.
    repair(context);
    let _lock = lock_settled(context, name)?;
    let loaded = host_file::load(context)?;
    let old = imperative(&loaded, name)?;
    let (generation, new) = target(context, name, old, arguments.to)?;
    if old.generation == Some(generation.number) {
        return Ok(Updated::nothing(name, old.generation));
    }
    ready(context, name, old)?;
    align_profile(context, &nix, old);
    check_reach(context, name, old, &new, arguments.allow_host_changes)?;
    intent_file::check(&loaded, name, &new)?;
    let runs = !systemd::state(context, name)?.stopped();
    let decision = decide(name, old, &new, strategy(arguments.activation.strategy, &new), runs)?;
    if decision.action == Action::Restart {
        credentials::check_credentials(context, name, &new)?;
    }
    for note in dependents::unknown_names(&loaded, &new) {
        output::tell(&format!("container '{name}': {note}"));
    }
    let details = Details {
        profile_directory: profile_folder(context, name, old),
        old_intent: std::fs::read_to_string(intent_path(context, name))?,
        newest_generation: newest(context, name, old),
        ran: runs,
        ..Details::default()
    };
    let mut record = Record::begin(context, name, Step::Updating, details)?;
    // A generation that only a pin still keeps gets a new number.
    let present = generation.made.is_some();
    let before = old.generation;
    let switch = Switch {
        host: context,
        nix: &nix,
        name,
        target: if present { Target::Present(generation.number) } else { Target::New(generation.path) },
        decision,
        expect: arguments.activation.expect,
        check: arguments.activation.check.as_deref(),
        limit: limit_or_start(limit, &new),
        keep: arguments.activation.keep,
        new,
    };
    let switched = switch.run(&mut record)?;
    Ok(Updated::switched(name, before, switched, Outcome::RolledBack))
}

/// The generation to go to, and the intent for it.
fn target(
    context: &Context,
    name: &MachineName,
    old: &Intent,
    to: Option<u64>,
) -> Result<(Generation, Intent)> {
    let all = generations(context, name, old);
    let current = old.generation.unwrap_or(0);
    let none = |message: String| Failed::NothingToRollBack(message);
    let found = match to {
        Some(number) => all.into_iter().find(|one| one.number == number).ok_or_else(|| {
            none(format!("container '{name}' has no generation {number}, nothing was changed; 'nixos-nspawn list-generations {name}' shows all"))
        })?,
        None => all.into_iter().rev().find(|one| one.number < current).ok_or_else(|| {
            none(format!("container '{name}' has no generation before {current}, nothing was changed"))
        })?,
    };
    if found.toplevel.is_none() {
        return refuse(format!(
            "generation {} of container '{name}': {} is gone from the store, nothing was changed",
            found.number, found.path
        ));
    }
    let built = profile::read(context, &found.path, name)?;
    // The source stays: the next update shall bring the newest again, from where it always comes.
    let source = old.source.clone().unwrap_or_default();
    let mut new = next::intent(context, name, &built, source)?;
    new.source = old.source.clone();
    new.profile =
        old.profile.clone().or_else(|| profile_link(context, name, old).to_string_lossy().parse().ok());
    new.generation = Some(found.number);
    new.autostart = old.autostart;
    Ok((found, new))
}
