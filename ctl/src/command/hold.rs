//! `hold` and `unhold`: exclude a container from `update --all`, and include it again.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::hold;
use crate::cli::{Changed, Hold};
use crate::command::begin::begin;
use crate::command::several::{each, machine_names};
use crate::fact::lookup::machine_name;

/// The answer for scripts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct HoldAnswer {
    name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    /// Whether the container is held now.
    held: bool,
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
    let changed =
        if dry_run { hold::would(context, &name, true)? } else { hold::hold(context, &name, reason)? };
    let how = match (changed, dry_run) {
        (true, true) => "would be held, and 'update --all' would skip it",
        (true, false) => "is held; 'update --all' skips it",
        (false, _) => "is already held; 'update --all' skips it",
    };
    let answer = HoldAnswer { name: name.clone(), dry_run, held: true, changed };
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
            let changed =
                if dry_run { hold::would(context, name, false)? } else { hold::unhold(context, name)? };
            let how = match (changed, dry_run) {
                (true, true) => "would no longer be held",
                (true, false) => "is no longer held",
                (false, _) => "was not held",
            };
            let answer = HoldAnswer { name: name.clone(), dry_run, held: false, changed };
            Ok((answer, format!("container '{name}' {how}\n")))
        },
    )
}
