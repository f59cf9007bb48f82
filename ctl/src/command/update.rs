//! `update`: builds containers and switches to the results. Each container is updated independently.

use std::time::Instant;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::change::ahead::remove_links;
use crate::change::side_by_side;
use crate::change::side_by_side::Timed;
use crate::change::summary::summarize;
use crate::change::update::update;
use crate::change::update_options::UpdateOptions;
use crate::change::updated::Updated;
use crate::cli::Update;
use crate::command::begin::begin;
use crate::command::{arguments, overrides, planned, reachable, updated};
use crate::decision::activation_order::activation_order;
use crate::fact::installation;
use crate::nix::tool::Nix;

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Update) -> Result<()> {
    let overrides = overrides::changes(&given.overrides, &given.unset)?;
    let built = arguments::built(&given.from.built, given.from.build_on_host)?;
    let source = arguments::source(&given.from, &given.nix_args, given.save_args, &built);
    let names = || arguments::names(context, &given.names, given.all, &given.from);
    if given.several.dry_run {
        let how = planned::How {
            refresh: !given.from.no_refresh,
            strategy: given.activation.strategy.map(arguments::strategy),
            all: given.all,
            retry: given.retry,
            exit_code: given.several.exit_code,
        };
        return planned::run(context, names, (&source, overrides.as_ref()), how);
    }
    begin(context, "update")?;
    context.need_systemd()?;
    let options = UpdateOptions {
        source,
        overrides: overrides.as_ref(),
        activation: arguments::activation(&given.activation)?,
        consent: arguments::consent(given.several.allow_host_changes.as_deref()),
        allow_taken_ports: given.several.allow_taken_ports,
        applied_from: None,
        all: given.all,
        retry: given.retry,
    };
    let build_limit = arguments::limit("--build-timeout", given.several.build_timeout.as_ref())?;
    installation::check(context)?;
    let nix = Nix::find(context)?.refreshing(!given.from.no_refresh).building_at_most(build_limit);
    let names = names()?;
    if names.is_empty() {
        context.screen.tell("there are no imperative containers, nothing to update");
    }
    let loaded = match &names[..] {
        [name] => context.load_one(name),
        _ => context.load(),
    };
    let names = activation_order(&loaded, names);
    let results = match &names[..] {
        [name] => {
            let begun = Instant::now();
            vec![(0, update(context, &nix, name, &options, None), begun.elapsed())]
        }
        _ => {
            let limits = arguments::limits(&given.several);
            side_by_side::update_all(context, &nix, (&loaded, &names), &options, limits)
        }
    };
    remove_links(context, &loaded, &names);
    finish(context, results, &names, given.all)
}

/// Prints a single result as it is, and several as a table.
fn finish(context: &Context, results: Vec<Timed>, names: &[MachineName], of_all: bool) -> Result<()> {
    let wanted = names.len();
    let mut failure = None;
    let mut all = Vec::new();
    for (at, result, time) in results {
        let updated = result.unwrap_or_else(|error| {
            let failed = Updated::failed(&names[at], &error);
            failure = Some(error);
            failed
        });
        all.push(updated.with_time(time));
    }
    if all.len() < wanted {
        failure = failure.or(interrupt::check().err());
    }
    if of_all {
        summarize(context, &all.iter().collect::<Vec<_>>());
    }
    reachable::add(context, all.iter_mut());
    match (context.json, wanted, &all[..]) {
        (true, ..) => context.screen.print_json(&all)?,
        (false, 2.., _) => context.screen.print(&updated::table(&all, context.color))?,
        (false, _, [one]) if failure.is_none() => context.screen.print(&updated::lines(one))?,
        _ => {}
    }
    match failure {
        // The table shows the errors; JSON is for scripts.
        Some(_) if wanted > 1 && !context.json => Err(Failed::Silent.into()),
        Some(_) if wanted > 1 => {
            all.iter().filter_map(updated::error_line).for_each(|line| context.screen.tell(&line));
            Err(Failed::Silent.into())
        }
        Some(error) => Err(error),
        None => Ok(()),
    }
}
