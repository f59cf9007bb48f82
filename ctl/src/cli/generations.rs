//! Arguments of the commands for generations.

use clap::Args;

use super::values::generation;

#[derive(Debug, Args)]
pub(crate) struct DeleteGenerations {
    /// Name of the container
    pub(crate) name: String,
    /// Numbers, '+K' for all but the newest K, '30d' for those older than 30 days, or 'old' for all but the current
    #[arg(required = true, value_name = "GENERATIONS")]
    pub(crate) generations: Vec<String>,
    /// Show what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Names of containers, each with the number of a generation [default: the current one]
    #[arg(required = true, value_name = "NAME [N]")]
    pub(crate) which: Vec<String>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Name of the container
    pub(crate) name: String,
    /// Generation to compare [default: the one before the current]
    #[arg(value_name = "N", value_parser = generation)]
    pub(crate) from: Option<u64>,
    /// Generation to compare it with [default: the current one]
    #[arg(value_name = "M", value_parser = generation)]
    pub(crate) to: Option<u64>,
}
