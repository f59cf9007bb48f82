//! `update`: builds containers and switches to the results. Each container is updated independently.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::change::update::{UpdateOptions, update};
use crate::change::updated::Updated;
use crate::cli::Update;
use crate::command::begin::begin;
use crate::command::{arguments, planned, updated};
use crate::fact::installation;
use crate::nix::tool::Nix;

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Update) -> Result<()> {
    let source = arguments::source(&given.from, &given.nix_args);
    let names = || arguments::names(context, &given.names, given.all, &given.from);
    if given.dry_run {
        let strategy = given.activation.strategy.map(arguments::strategy);
        return planned::run(context, names, &source, strategy, given.exit_code);
    }
    begin(context, "update")?;
    context.need_systemd()?;
    let options = UpdateOptions {
        source,
        activation: arguments::activation(&given.activation)?,
        consent: arguments::consent(given.allow_host_changes.as_deref()),
        allow_taken_ports: given.allow_taken_ports,
    };
    installation::check(context)?;
    let nix = Nix::find(context)?;
    let names = names()?;
    if names.is_empty() {
        context.screen.tell("there are no imperative containers, nothing to update");
    }
    let mut results = Vec::new();
    for name in &names {
        let result = update(context, &nix, name, &options);
        let stop = interrupt::check().is_err();
        results.push((name, result));
        if stop {
            break;
        }
    }
    finish(context, results, names.len())
}

/// Prints a single result as it is, and several as a table.
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
        (true, ..) => context.screen.print_json(&all)?,
        (false, 2.., _) => context.screen.print(&updated::table(&all))?,
        (false, _, [one]) if failure.is_none() => {
            context.screen.print(&format!("{}\n", updated::line(one)))?
        }
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
