//! Arguments of `list`.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct List {
    /// List only containers with these names; '*', '?' and '[a-c]' are as in the shell
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// List only containers of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<KindFilter>,
    /// List only containers in these states of their unit
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = STATES)]
    pub(crate) state: Vec<String>,
    /// Order of the list
    #[arg(long, value_name = "KEY", default_value = "name", hide_default_value = true)]
    pub(crate) sort: SortKey,
    /// Print names only
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// Print neither header nor notes
    #[arg(long)]
    pub(crate) no_legend: bool,
}

/// The states of units (`ActiveState=`), and that of a unit of which systemd was not asked.
const STATES: [&str; 9] = [
    "active",
    "activating",
    "deactivating",
    "failed",
    "inactive",
    "maintenance",
    "refreshing",
    "reloading",
    "unknown",
];

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortKey {
    /// By name
    Name,
    /// By state, then by name
    State,
    /// The longest running first
    Uptime,
}

/// Who manages a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindFilter {
    /// Managed by nixos-nspawn
    Imperative,
    /// Managed by the host's NixOS configuration
    Declarative,
}
