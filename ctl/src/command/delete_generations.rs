//! `delete-generations`: deletes generations by number or pattern, and lists those that are protected.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::delete_generations::{delete, plan};
use crate::cli::DeleteGenerations;
use crate::command::begin::begin;
use crate::decision::which_generations::parse;
use crate::fact::lookup::machine_name;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &DeleteGenerations) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let which = parse(&arguments.generations)?;
    let dry_run = arguments.dry_run;
    context.need_live("delete-generations")?;
    let done = if dry_run {
        plan(context, &name, &which)?
    } else {
        begin(context, "delete-generations")?;
        delete(context, &name, &which)?
    };
    let kept = done
        .kept
        .iter()
        .map(|(generation, why)| KeptGeneration { generation: *generation, reason: why.word() });
    let answer = DeleteAnswer { name: &name, dry_run, deleted: &done.deleted, kept: kept.collect() };
    context.answer(&answer, text)
}

/// What was or would be deleted, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct DeleteAnswer<'a> {
    name: &'a MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    deleted: &'a [u64],
    /// Protected generations that the pattern matched.
    kept: Vec<KeptGeneration>,
}

/// A protected generation.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct KeptGeneration {
    generation: u64,
    reason: &'static str,
}

fn text(answer: &DeleteAnswer) -> String {
    let DeleteAnswer { name, dry_run, deleted, kept } = answer;
    let kept = kept.iter().map(|KeptGeneration { generation, reason }| {
        format!("generation {generation} is {reason}, so it is kept")
    });
    let done = if *dry_run { "would delete" } else { "deleted" };
    let mut lines: Vec<String> = kept.collect();
    lines.extend(deleted.iter().map(|number| format!("{done} generation {number} of container '{name}'")));
    if deleted.is_empty() {
        lines.push(format!("container '{name}' has no generation to delete"));
    }
    lines.join("\n") + "\n"
}
