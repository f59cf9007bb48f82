//! Arguments of `doctor`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Repair what can be repaired without risk, and say what was done
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix: show what would be repaired
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
}
