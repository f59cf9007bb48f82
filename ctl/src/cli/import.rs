//! Arguments of `import`.

use clap::{Args, ValueEnum};

/// A program to import from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    /// nixos-container, in /etc/nixos-containers
    NixosContainer,
    /// python-nixos-nspawn, in /etc/systemd/nspawn
    PythonNixosNspawn,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Program that the containers belong to
    #[arg(value_name = "PROGRAM", required_unless_present = "undo")]
    pub(crate) program: Option<Program>,
    /// Names of the containers
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "undo"])]
    pub(crate) containers: Vec<String>,
    /// Import all containers of the program
    #[arg(long, conflicts_with_all = ["containers", "undo"])]
    pub(crate) all: bool,
    /// Give imported containers back to the program that they came from
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with_all = ["program", "start"])]
    pub(crate) undo: Vec<String>,
    /// Start containers that do not run
    #[arg(long)]
    pub(crate) start: bool,
    /// Use a /nix/store that does not belong to root
    #[arg(long)]
    pub(crate) allow_user_store: bool,
    /// Forward ports even if a service of the host listens on them
    #[arg(long)]
    pub(crate) allow_taken_ports: bool,
    /// Show what would be moved and recorded, and what has no counterpart
    #[arg(long)]
    pub(crate) dry_run: bool,
}
