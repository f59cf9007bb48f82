//! Decides how a killed command is settled, from its record and what is observed. Pure. The decisions are tables, of which
//! docs/decisions/interrupted.md is a print.

mod making;
mod renaming;
mod row;
mod switching;

pub(crate) use making::{Observed, Settlement, settlement};
pub(crate) use renaming::{IntentSeen, RenameObserved, RenameSettlement, rename};
pub(crate) use switching::{SwitchObserved, SwitchSettlement, switch};

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whole;
