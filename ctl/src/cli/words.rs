//! Arguments of the words for commands of systemd.

use clap::Args;

/// Containers to start, stop or restart.
#[derive(Debug, Args)]
pub(crate) struct Units {
    /// Names of the containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// Name of the container, with the user inside [default: root]
    #[arg(value_name = "[USER@]NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Name of the container
    pub(crate) name: String,
    /// Command to run inside, and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Name of the container
    pub(crate) name: String,
    /// Show new messages as they arrive
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show only the last N messages
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<u32>,
    /// Show only messages of UNIT inside
    #[arg(short, long, value_name = "UNIT", conflicts_with = "outside")]
    pub(crate) unit: Option<String>,
    /// Show what the host has logged of the container, its console included [default: if it is stopped]
    #[arg(long)]
    pub(crate) outside: bool,
}
