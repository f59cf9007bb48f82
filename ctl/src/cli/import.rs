//! Arguments of `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::overrides::Override;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Import {
    #[command(subcommand)]
    pub(crate) what: Option<Imported>,
    /// Give containers back to the programs that they were imported from
    #[arg(long, value_name = "NAME", num_args = 1.., required = true)]
    pub(crate) undo: Vec<String>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What is imported.
#[derive(Debug, Subcommand)]
pub(crate) enum Imported {
    /// Record a container from an archive of 'export'
    Archive(Box<ImportArchive>),
    /// Take over containers of nixos-container, in /etc/nixos-containers
    NixosContainer(ImportForeign),
    /// Take over containers of python-nixos-nspawn, in /etc/systemd/nspawn
    PythonNixosNspawn(ImportForeign),
    /// Take over containers with a .nspawn file and a NixOS root in /var/lib/machines
    Nspawn(ImportNspawn),
}

#[derive(Debug, Args)]
pub(crate) struct ImportForeign {
    /// Names of the containers
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub(crate) containers: Vec<String>,
    /// Import all containers of the program
    #[arg(long, conflicts_with = "containers")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) how: TakeOver,
}

/// How containers of other programs are taken over.
#[derive(Debug, Args)]
pub(crate) struct TakeOver {
    /// Start containers that do not run
    #[arg(long)]
    pub(crate) start: bool,
    /// Use a /nix/store that does not belong to root
    #[arg(long)]
    pub(crate) allow_user_store: bool,
    /// Forward ports even if a service of the host listens on them
    #[arg(long)]
    pub(crate) allow_taken_ports: bool,
    /// Show what would be moved, copied and recorded, and what has no counterpart
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportNspawn {
    /// Files /etc/systemd/nspawn/NAME.nspawn
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Copy store paths of the root that have no signature this host trusts
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
    #[command(flatten)]
    pub(crate) how: TakeOver,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArchive {
    /// The archive
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Name of the container [default: as in the archive]
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) overrides: Override,
    /// Check the archive, and show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}
