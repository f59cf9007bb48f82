//! The beginning of every command that changes something: checks privileges and settles killed commands.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::change::settle::settle_all;

/// Checks the caller's privileges and settles killed commands.
pub(crate) fn begin(context: &Context, verb: &str) -> Result<()> {
    begin_except(context, verb, &[])
}

/// Does the same, except for containers that the command itself removes with everything left of them.
pub(crate) fn begin_except(context: &Context, verb: &str, except: &[MachineName]) -> Result<()> {
    context.need_root(verb)?;
    // Without systemd nothing can be settled; commands that need it refuse by themselves.
    if !context.live() || context.booted() {
        settle(context, except);
    }
    Ok(())
}

/// Settles killed commands, and remembers which could not be.
pub(super) fn settle(context: &Context, except: &[MachineName]) {
    let failed = settle_all(context, except);
    context.unsettled.borrow_mut().extend(failed);
}
