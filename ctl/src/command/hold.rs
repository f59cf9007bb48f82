//! `hold` and `unhold`: exclude a container from `update --all`, and include it again.

use anyhow::Result;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::hold;
use crate::cli::{Hold, Named};
use crate::command::begin::begin;
use crate::fact::lookup::machine_name;

/// The answer for scripts.
#[derive(Debug, Serialize)]
struct HoldAnswer<'a> {
    name: &'a str,
    /// Whether the container is held now.
    held: bool,
    /// Whether the command changed that.
    changed: bool,
}

/// Runs `hold`.
pub(crate) fn hold(context: &Context, arguments: &Hold) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    begin(context, "hold")?;
    let changed = hold::hold(context, &name, arguments.reason.as_deref())?;
    let how = if changed { "is held" } else { "is already held" };
    context.answer(&HoldAnswer { name: name.as_str(), held: true, changed }, |_| {
        format!("container '{name}' {how}; 'update --all' skips it\n")
    })
}

/// Runs `unhold`.
pub(crate) fn unhold(context: &Context, arguments: &Named) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    begin(context, "unhold")?;
    let changed = hold::unhold(context, &name)?;
    let how = if changed { "is no longer held" } else { "was not held" };
    context.answer(&HoldAnswer { name: name.as_str(), held: false, changed }, |_| {
        format!("container '{name}' {how}\n")
    })
}
