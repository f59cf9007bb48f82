//! `rollback`: goes back to an earlier generation.

use anyhow::Result;

use crate::base::context::Context;
use crate::change::rollback;
use crate::change::rollback::RollbackOptions;
use crate::change::updated::{UpdateResult, Updated};
use crate::cli::Rollback;
use crate::command::begin::begin;
use crate::command::{arguments, planned, reachable, updated};
use crate::fact::lookup::machine_name;

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Rollback) -> Result<()> {
    let name = machine_name(&given.name)?;
    context.need_systemd()?;
    let options = RollbackOptions {
        to: given.to,
        with_state: given.with_state,
        activation: arguments::activation(&given.activation)?,
        consent: arguments::consent(given.allow_host_changes.as_deref()),
    };
    if given.dry_run {
        return context.answer(&rollback::plan(context, &name, &options)?, planned::text);
    }
    begin(context, "rollback")?;
    match rollback::rollback(context, &name, &options) {
        Ok(result) => {
            let mut all = [result];
            reachable::add(context, all.iter_mut());
            let [result] = all;
            context.answer(&result, |one| match one.result {
                UpdateResult::UpToDate => {
                    let number = one.generation.unwrap_or_default();
                    format!("container '{name}': generation {number} is already current\n")
                }
                _ => updated::lines(one),
            })
        }
        Err(error) => {
            if context.json {
                context.screen.print_json(&Updated::failed(&name, &error))?;
            }
            Err(error)
        }
    }
}
