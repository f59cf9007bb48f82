//! `hold` and `unhold`: exclude a container from `update --all`, and include it again.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::hold;
use crate::change::hold::Held;
use crate::cli::{Changed, Hold};
use crate::command::begin::begin;
use crate::command::several::{each, machine_names};
use crate::fact::lookup::machine_name;
use crate::host::update_memory;

/// The answer for scripts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct HoldAnswer {
    name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    /// Since when and why the container is held.
    held: Option<update_memory::Hold>,
    /// Whether the command changed that.
    changed: bool,
}

/// Runs `hold`.
pub(crate) fn hold(context: &Context, arguments: &Hold) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let dry_run = arguments.dry_run;
    let reason = arguments.reason.as_deref();
    if !dry_run {
        begin(context, "hold")?;
    }
    let Held { hold: held, changed } = match dry_run {
        true => hold::would_hold(context, &name, reason)?,
        false => hold::hold(context, &name, reason)?,
    };
    let how = match (changed, dry_run) {
        (true, true) => "would be held, and 'update --all' would skip it",
        (true, false) => "is held; 'update --all' skips it",
        (false, _) => "is already held; 'update --all' skips it",
    };
    let answer = HoldAnswer { name: name.clone(), dry_run, held, changed };
    context.answer(&answer, |_| format!("container '{name}' {how}\n"))
}

/// Runs `unhold`.
pub(crate) fn unhold(context: &Context, arguments: &Changed) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    let dry_run = arguments.dry_run;
    if !dry_run {
        begin(context, "unhold")?;
    }
    each(
        context,
        &names,
        |name| name,
        |name| {
            let Held { hold: held, changed } = match dry_run {
                true => hold::would_unhold(context, name)?,
                false => hold::unhold(context, name)?,
            };
            let how = match (changed, dry_run) {
                (true, true) => "would no longer be held",
                (true, false) => "is no longer held",
                (false, _) => "was not held",
            };
            let answer = HoldAnswer { name: name.clone(), dry_run, held, changed };
            Ok((answer, format!("container '{name}' {how}\n")))
        },
    )
}
