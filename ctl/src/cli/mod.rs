//! The command line of nixos-nspawn-ctl, as clap types. Arguments of the commands that build or switch systems are in
//! [`build`].

mod apply;
mod build;
pub(crate) mod color;
mod doctor;
mod foreign_options;
mod generations;
pub(crate) mod hints;
mod import;
mod list;
mod moves;
mod overrides;
pub(crate) mod tips;
mod values;
mod words;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use apply::Apply;
pub(crate) use build::{
    Activation, Create, Expect, Expected, From, Plan, Rollback, Several, Strategy, Update,
};
pub(crate) use doctor::Doctor;
pub(crate) use generations::{DeleteGenerations, Diff, Pin};
pub(crate) use import::{Import, ImportArchive, ImportForeign, ImportNspawn, Imported, TakeOver};
pub(crate) use list::{KindFilter, List, SortKey};
pub(crate) use moves::{Clone, Export, Rename};
pub(crate) use overrides::Override;
pub(crate) use values::ANY_REACH;
use values::systemd_version;
pub(crate) use words::{Logs, Run, Shell, Units};

/// Manage NixOS containers on systemd-nspawn.
#[derive(Debug, Parser)]
#[command(name = "nixos-nspawn", version, max_term_width = 100, after_help = "See nixos-nspawn-ctl(8).")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "General options")]
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
    /// Run on another host, over ssh; on several side by side
    #[arg(short = 'H', long = "host", global = true, value_name = "[USER@]HOST")]
    pub(crate) hosts: Vec<String>,
    /// Run on the hosts in FILE, one in each line
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) hosts_file: Option<PathBuf>,
    /// Print JSON for scripts; messages go to standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
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

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a container, record it and start it
    Create(Create),
    /// Rebuild containers and switch to the result; failures are rolled back
    Update(Update),
    /// Make the containers of this host what a flake says
    Apply(Apply),
    /// Show what an update would change and do
    Plan(Plan),
    /// Go back to an earlier generation
    Rollback(Rollback),
    /// Stop and remove containers; their state is kept
    Remove(Remove),
    /// Give a container another name
    Rename(Rename),
    /// Copy a container with its state
    Clone(Clone),
    /// Write a container with its state into an archive
    Export(Export),
    /// Take over a container from elsewhere
    Import(Import),
    /// Start containers
    Start(Units),
    /// Stop containers
    Stop(Units),
    /// Restart containers
    Restart(Units),
    /// Open a shell in a running container
    Shell(Shell),
    /// Run a command in a running container
    Run(Run),
    /// Show the journal of a container
    Logs(Logs),
    /// Print the addresses of a running container
    Ip(Show),
    /// Print the public SSH host keys of a running container
    SshHostKey(Show),
    /// List containers
    List(List),
    /// Show everything known about containers
    Show(Shown),
    /// Print the files that the generator writes for containers
    Cat(Shown),
    /// Show the state of containers, or what needs attention on this host
    Status(Status),
    /// Check everything on this host that containers depend on
    Doctor(Doctor),
    /// List the generations of a container
    ListGenerations(Show),
    /// Delete generations, but never the current, the running or a pinned one
    DeleteGenerations(DeleteGenerations),
    /// Keep generations from being deleted
    Pin(Pin),
    /// Allow pinned generations to be deleted again
    Unpin(Pin),
    /// Check the health of a container, as an update would
    Check(Check),
    /// Keep a container at its generation in 'update --all'
    Hold(Hold),
    /// Let 'update --all' update a container again
    Unhold(Changed),
    /// Show what differs between generations: options, files and closure
    Diff(Diff),
    /// Start containers with the host
    Enable(Enable),
    /// Do not start containers with the host
    #[command(mut_arg("now", |now| now.help("Also stop them now")))]
    Disable(Enable),
    /// Apply the recorded configuration to running containers
    Activate(Activate),
    /// Start all containers that should run and do not
    Autostart(Autostart),
    /// Install the systemd generator, on systems without a package
    Setup(Setup),
    /// Check .nspawn files, units, intents and settings for what systemd would ignore or refuse
    Verify(Verify),
    /// Rate how exposed the host is to containers, and say what would lessen it
    Audit(Audit),
    /// Print the completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Names of the containers [default: a summary of the host]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Name of the container
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) expected: Expected,
}

#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// Name of the container
    pub(crate) name: String,
    /// Reason, shown by list and status
    pub(crate) reason: Option<String>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("containers").required(true).args(["names", "all"])))]
pub(crate) struct Remove {
    /// Names of the containers
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Every imperative container
    #[arg(long)]
    pub(crate) all: bool,
    /// Delete the state in /var/lib/machines as well
    #[arg(long)]
    pub(crate) delete_state: bool,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name of the container
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Names of the containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Containers to change.
#[derive(Debug, Args)]
pub(crate) struct Changed {
    /// Names of the containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Enable {
    /// Also start them now
    #[arg(long)]
    pub(crate) now: bool,
    #[command(flatten)]
    pub(crate) changed: Changed,
}

#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// Names of the containers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// How it takes effect [default: the container's own strategy]
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Autostart {
    /// Show what would be started
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Files, and directories to search [default: those of this host]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Version of systemd to check for [default: the host's, as in host.json, or the newest known]
    #[arg(long, value_name = "VERSION", value_parser = systemd_version)]
    pub(crate) systemd: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Names of the containers [default: an overview of all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Remove the generator; running containers are stopped, all records are kept
    #[arg(long)]
    pub(crate) remove: bool,
    /// Also enable systemd-networkd, which configures the containers' network
    #[arg(long, conflicts_with = "remove")]
    pub(crate) networkd: bool,
    /// Also update all containers by a timer, at CALENDAR as in systemd.time(7) [default: daily at 4:00]
    #[arg(long, value_name = "CALENDAR", num_args = 0..=1, require_equals = true, conflicts_with = "remove")]
    pub(crate) auto_update: Option<Option<String>>,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell to print it for
    pub(crate) shell: clap_complete::Shell,
}
