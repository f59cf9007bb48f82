//! The command line of nixos-nspawn-ctl, as clap derives it from these types. Words go in, a [`Cli`] comes out;
//! nothing is decided here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Manage NixOS containers on systemd-nspawn, one by one.
#[derive(Debug, Parser)]
#[command(name = "nixos-nspawn", version, max_term_width = 100, after_help = "See nixos-nspawn-ctl(8).")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Work offline on the system tree below DIR
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub(crate) root: PathBuf,
    /// Show the programs that are called
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a container, record it and start it
    Create(Create),
    /// Stop containers and forget them; their state stays
    Remove(Remove),
    /// List containers
    List(List),
    /// Show all that is known of a container
    Show(Show),
    /// Have a container start with the host
    Enable(Named),
    /// Keep a container from starting with the host
    Disable(Named),
    /// Start every container that should run and does not
    Autostart(Autostart),
    /// Install the systemd generator, on systems without a package
    Setup(Setup),
    /// Print the completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the container
    pub(crate) name: String,
    /// Flake that has it as nixosContainers.ATTR or nixosContainers.SYSTEM.ATTR; ATTR is NAME if left out
    #[arg(long, value_name = "REF[#ATTR]", required_unless_present = "profile", conflicts_with = "profile")]
    pub(crate) flake: Option<String>,
    /// Use what was built before: a store path or a Nix profile
    #[arg(long, value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
    /// Nix system to build for
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
    /// Record it, but do not start it now
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Use a /nix/store that does not belong to root
    #[arg(long)]
    pub(crate) allow_user_store: bool,
    /// Further arguments for nix build
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Names of the containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Delete the state in /var/lib/machines as well
    #[arg(long)]
    pub(crate) delete_state: bool,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only containers managed this way
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<KindFilter>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who manages a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindFilter {
    /// This program
    Imperative,
    /// The host's NixOS configuration
    Declarative,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name of the container
    pub(crate) name: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name of the container
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Autostart {
    /// Show what would be started
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Take the generator away again; running containers are stopped, all records stay
    #[arg(long)]
    pub(crate) remove: bool,
    /// Also turn on systemd-networkd, which configures the containers' network
    #[arg(long, conflicts_with = "remove")]
    pub(crate) networkd: bool,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
