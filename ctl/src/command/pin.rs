//! `pin` and `unpin`: protect a generation from deletion and garbage collection, and release it again.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::pin;
use crate::change::pin::Pinned;
use crate::cli::Pin;
use crate::command::begin::begin;
use crate::fact::lookup::machine_name;

/// Runs `pin`.
pub(crate) fn pin(context: &Context, arguments: &Pin) -> Result<()> {
    let name = name_of(context, "pin", arguments)?;
    let number = arguments.generation;
    let pinned = pin::pin(context, &name, number)?;
    answer(context, &name, number, true, pinned)
}

/// Runs `unpin`.
pub(crate) fn unpin(context: &Context, arguments: &Pin) -> Result<()> {
    let name = name_of(context, "unpin", arguments)?;
    let number = arguments.generation;
    let pinned = pin::unpin(context, &name, number)?;
    answer(context, &name, number, false, pinned)
}

fn name_of(context: &Context, command: &str, arguments: &Pin) -> Result<MachineName> {
    let name = machine_name(&arguments.name)?;
    context.need_live(command)?;
    begin(context, command)?;
    Ok(name)
}

/// What was done, as scripts see it.
#[derive(Debug, Serialize)]
struct PinAnswer<'a> {
    name: &'a MachineName,
    generation: u64,
    /// Whether it is pinned now.
    pinned: bool,
    /// Whether anything was changed.
    changed: bool,
}

fn answer(context: &Context, name: &MachineName, generation: u64, wanted: bool, done: Pinned) -> Result<()> {
    let Pinned { changed, in_profile } = done;
    let how = match (wanted, changed, in_profile) {
        (true, false, _) => "is already pinned",
        (true, true, _) => "is pinned",
        (false, false, _) => "is not pinned",
        (false, true, true) => "is no longer pinned",
        (false, true, false) => "is no longer pinned, and nothing else keeps it",
    };
    context.answer(&PinAnswer { name, generation, pinned: wanted, changed }, |_| {
        format!("generation {generation} of container '{name}' {how}\n")
    })
}
