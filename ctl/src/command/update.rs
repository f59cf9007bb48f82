//! `update`: has Nix build a container anew from its recorded source, or another one, and switches to the result. What
//! cannot be checked beforehand is watched afterwards, and taken back if it fails; several containers are several pieces
//! of work.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::{Failed, under};
use crate::base::failpoint::stop_point;
use crate::base::{interrupt, output};
use crate::change::next::{
    Next, check_reach, limit, limit_or_start, names, newest, next, profile_folder, ready, same_but_source,
    strategy, unlocked,
};
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::settle::{lock_settled, repair};
use crate::change::switch::{Switch, Target};
use crate::change::updated;
use crate::change::updated::{Outcome, Updated};
use crate::cli::{Expect, Plan, Update};
use crate::command::plan;
use crate::decision::activation::{Action, Decision, decide};
use crate::fact::lookup::imperative;
use crate::fact::{dependents, installation};
use crate::host::lock::Lock;
use crate::host::record::{Details, Record, Step};
use crate::host::{credentials, host_file, intent_file, systemd};
use crate::nix::source::Said;
use crate::nix::tool::Nix;

/// Runs `update`.
pub(crate) fn run(context: &Context, arguments: &Update) -> Result<()> {
    if arguments.dry_run {
        let plan = Plan {
            names: arguments.names.clone(),
            all: arguments.all,
            from: arguments.from.clone(),
            strategy: arguments.activation.strategy,
            exit_code: arguments.exit_code,
            nix_args: arguments.nix_args.clone(),
        };
        return plan::run(context, &plan);
    }
    context.need_root("update")?;
    context.need_systemd()?;
    let limit = limit(&arguments.activation)?;
    installation::check(context)?;
    let nix = Nix::find(context)?;
    let names = names(context, &arguments.names, arguments.all, &arguments.from)?;
    if names.is_empty() {
        output::tell("there are no imperative containers, nothing to update");
    }
    let mut results = Vec::new();
    for name in &names {
        let result = one(context, &nix, name, arguments, limit);
        let stop = interrupt::check().is_err();
        results.push((name, result));
        if stop {
            break;
        }
    }
    let done = finish(context, results, names.len());
    repair(context);
    done
}

/// One result is the command's; several are told in a table.
fn finish(context: &Context, results: Vec<(&MachineName, Result<Updated>)>, wanted: usize) -> Result<()> {
    let mut failure = None;
    let mut all = Vec::new();
    for (name, result) in results {
        all.push(result.unwrap_or_else(|error| {
            let failed = Updated::failed(name, &error);
            failure = Some(error);
            failed
        }));
    }
    match (context.json, wanted, &all[..]) {
        (true, ..) => output::print_json(&all)?,
        (false, 2.., _) => output::print(&updated::table(&all))?,
        (false, _, [one]) if failure.is_none() => output::print(&format!("{}\n", one.line()))?,
        _ => {}
    }
    match failure {
        // The table has told it; JSON is not for people.
        Some(_) if wanted > 1 && !context.json => Err(Failed::Silent.into()),
        Some(_) if wanted > 1 => {
            all.iter().filter_map(Updated::error_line).for_each(|line| output::tell(&line));
            Err(Failed::Silent.into())
        }
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn one(
    context: &Context,
    nix: &Nix,
    name: &MachineName,
    arguments: &Update,
    limit: Option<Duration>,
) -> Result<Updated> {
    let _lock = lock_settled(context, name)?;
    let loaded = context.load();
    let old = imperative(&loaded, name)?;
    ready(context, name, old)?;
    align_profile(context, nix, old);
    let directory = profile_folder(context, name, old);
    let details = Details {
        profile_directory: directory.clone(),
        old_intent: std::fs::read_to_string(crate::host::intent_file::intent_path(context, name))?,
        newest_generation: newest(context, name, old),
        ran: !systemd::state(context, name)?.stopped(),
        ..Details::default()
    };
    let mut record = Record::begin(context, name, Step::Updating, details)?;
    let prepared = prepare(context, nix, name, old, arguments, &directory);
    let (next, decision) = match prepared {
        Ok(Prepared::Switch(next, decision)) => (next, decision),
        Ok(Prepared::Nothing) => {
            remove_pending(context, &directory);
            record.finish(context)?;
            return Ok(Updated::nothing(name, old.generation));
        }
        Err(error) => {
            interrupt::clean_up_begins();
            remove_pending(context, &directory);
            record.finish(context)?;
            interrupt::clean_up_ends();
            return Err(under(error, &format!("container '{name}' was not updated"), "nothing was changed"));
        }
    };
    let before = old.generation;
    let switch = Switch {
        host: context,
        nix,
        name,
        target: Target::New(next.profile),
        decision,
        expect: arguments.activation.expect,
        check: arguments.activation.check.as_deref(),
        limit: limit_or_start(limit, &next.intent),
        keep: arguments.activation.keep,
        new: next.intent,
    };
    let switched = switch.run(&mut record)?;
    remove_pending(context, &directory);
    Ok(Updated::switched(name, before, switched, Outcome::Updated))
}

enum Prepared {
    Switch(Box<Next>, Decision),
    Nothing,
}

/// Build and checks: nothing but the link for the build is made.
fn prepare(
    context: &Context,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    arguments: &Update,
    directory: &std::path::Path,
) -> Result<Prepared> {
    let below = context.path(directory);
    std::fs::create_dir_all(&below).with_context(|| below.display().to_string())?;
    let said = Said::of(&arguments.from, &arguments.nix_args);
    let next = next(context, nix, name, old, &said, Some(&directory.join("pending")))?;
    stop_point("built");
    if same_but_source(old, &next.intent) {
        if unlocked(old) != unlocked(&next.intent) {
            let _global = Lock::global(context)?;
            intent_file::write(context, name, &next.intent)?;
            drop(_global);
            // The drop-in names the file as its source, and systemctl would warn that it changed.
            if let Err(error) = systemd::daemon_reload(context) {
                output::tell(&format!("container '{name}': its new source is recorded, but {error:#}"));
            }
        }
        return Ok(Prepared::Nothing);
    }
    check_reach(context, name, old, &next.intent, arguments.allow_host_changes)?;
    let loaded = host_file::load(context)?;
    intent_file::check(&loaded, name, &next.intent)?;
    for note in dependents::unknown_names(&loaded, &next.intent) {
        output::tell(&format!("container '{name}': {note}"));
    }
    let runs = !systemd::state(context, name)?.stopped();
    let decision =
        decide(name, old, &next.intent, strategy(arguments.activation.strategy, &next.intent), runs)?;
    if decision.action == Action::Restart {
        credentials::check_credentials(context, name, &next.intent)?;
    }
    if arguments.activation.expect == Expect::None
        && decision.action == Action::AtNextStart
        && arguments.activation.check.is_some()
    {
        output::tell("the container is not activated now, so --check is not run");
    }
    Ok(Prepared::Switch(Box::new(next), decision))
}
