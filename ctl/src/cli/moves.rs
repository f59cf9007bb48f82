//! Arguments of the commands that rename and copy containers.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::overrides::Override;

#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Name of the container
    pub(crate) name: String,
    /// New name
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// Restart a running container with its new name
    #[arg(long)]
    pub(crate) restart: bool,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Clone {
    /// Name of the container
    pub(crate) name: String,
    /// Name of the copy
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// A profile for the copy, in place of the container's
    #[arg(long, value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overrides: Override,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Name of the container
    pub(crate) name: String,
    /// File to write, which must not exist [default: NAME.tar]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What is imported.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Record a container from an archive of 'export'
    Archive(ImportArchive),
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
