//! How every command that changes something begins: with the caller's rights, and with what killed commands left settled.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::change::settle::settle_all;

/// Checks the caller's rights and settles what killed commands left.
pub(crate) fn begin(context: &Context, verb: &str) -> Result<()> {
    begin_except(context, verb, &[])
}

/// The same, but for containers that the command itself removes whatever is left of them.
pub(crate) fn begin_except(context: &Context, verb: &str, except: &[MachineName]) -> Result<()> {
    context.need_root(verb)?;
    // Without systemd nothing can be settled; commands that need it say so themselves.
    if !context.live() || context.booted() {
        let failed = settle_all(context, except);
        context.unsettled.borrow_mut().extend(failed);
    }
    Ok(())
}
