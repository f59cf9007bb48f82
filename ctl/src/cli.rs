//! The command line of nixos-nspawn-ctl, as clap derives it from these types. Words go in, a [`Cli`] comes out;
//! nothing is decided here.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

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
    /// Print JSON for scripts; what is said to people goes to standard error
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

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a container, record it and start it
    Create(Create),
    /// Build containers anew and switch to the result; what fails is taken back
    Update(Update),
    /// Show what an update would change and do
    Plan(Plan),
    /// Go back to an earlier generation
    Rollback(Rollback),
    /// Stop containers and forget them; their state stays
    Remove(Remove),
    /// List containers
    List(List),
    /// Show all that is known of a container
    Show(Show),
    /// Show how a container is, and whether a restart is due
    Status(Status),
    /// List the generations of a container
    ListGenerations(Show),
    /// Delete generations, but never the current, the running or a pinned one
    DeleteGenerations(DeleteGenerations),
    /// Keep a generation from being deleted
    Pin(Pin),
    /// Let a pinned generation be deleted again
    Unpin(Pin),
    /// Show what differs between generations: options, files and closure
    Diff(Diff),
    /// Have a container start with the host
    Enable(Named),
    /// Keep a container from starting with the host
    Disable(Named),
    /// Have a running container take on what is recorded of it
    Activate(Activate),
    /// Start every container that should run and does not
    Autostart(Autostart),
    /// Install the systemd generator, on systems without a package
    Setup(Setup),
    /// Print the completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").required(true).args(["flake", "config", "profile"])))]
pub(crate) struct Create {
    /// Name of the container
    pub(crate) name: String,
    /// Flake that has it as nixosContainers.ATTR or nixosContainers.SYSTEM.ATTR; ATTR is NAME if left out
    #[arg(long, value_name = "REF[#ATTR]")]
    pub(crate) flake: Option<String>,
    /// NixOS configuration file to build
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use what was built before: a store path or a Nix profile
    #[arg(long, value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
    /// With --config: nixpkgs to build it with, a path or a flake reference; <nixpkgs> if nothing is said
    #[arg(long, value_name = "PATH|REF", conflicts_with_all = ["flake", "profile"])]
    pub(crate) nixpkgs: Option<String>,
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
#[command(group(ArgGroup::new("containers").required(true).args(["names", "all"])))]
pub(crate) struct Update {
    /// Names of the containers
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Every imperative container
    #[arg(long, conflicts_with_all = ["flake", "config", "profile", "nixpkgs"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) from: From,
    #[command(flatten)]
    pub(crate) activation: Activation,
    /// Show what would be changed and done, as 'plan' does
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: exit with 4 if anything would change
    #[arg(long, requires = "dry_run")]
    pub(crate) exit_code: bool,
    /// Accept options that reach further into the host than before
    #[arg(long)]
    pub(crate) allow_host_changes: bool,
    /// Further arguments for nix build, recorded from then on
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("containers").required(true).args(["names", "all"])))]
pub(crate) struct Plan {
    /// Names of the containers
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Every imperative container
    #[arg(long, conflicts_with_all = ["flake", "config", "profile", "nixpkgs"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) from: From,
    /// How the update would take effect
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,
    /// Exit with 4 if anything would change
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Further arguments for nix build
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
}

/// Where the new system comes from; the recorded source if nothing is said.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct From {
    /// Flake to build from, recorded from then on
    #[arg(long, value_name = "REF[#ATTR]", conflicts_with_all = ["config", "profile"])]
    pub(crate) flake: Option<String>,
    /// NixOS configuration file to build, recorded from then on
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    pub(crate) config: Option<PathBuf>,
    /// Use what was built before: a store path or a Nix profile
    #[arg(long, value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
    /// Nixpkgs to build a configuration file with, a path or a flake reference, recorded from then on
    #[arg(long, value_name = "PATH|REF", conflicts_with_all = ["flake", "profile"])]
    pub(crate) nixpkgs: Option<String>,
    /// Nix system to build for
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
}

/// How a new generation takes effect, and what it must show.
#[derive(Debug, Clone, Args)]
pub(crate) struct Activation {
    /// How it takes effect; the container's own strategy if nothing is said
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,
    /// State the container must reach
    #[arg(long, value_name = "STATE", default_value = "degraded")]
    pub(crate) expect: Expect,
    /// Command that must succeed inside, tried until the timeout
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: Option<String>,
    /// How long it may take, such as 90s; the container's start timeout if nothing is said
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// Leave a failed generation running, for study
    #[arg(long)]
    pub(crate) keep: bool,
}

/// How a generation takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// At the next start
    None,
    /// By switch-to-configuration inside, or the container's reload script
    Reload,
    /// By a restart
    Restart,
    /// By a reload where that is enough, else by a restart
    Dynamic,
}

/// What a container must show after an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expect {
    /// The system inside is running, no unit failed
    Running,
    /// The system inside has settled, and no unit failed that had not failed before
    Degraded,
    /// The container is active
    Active,
    /// Nothing
    None,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Name of the container
    pub(crate) name: String,
    /// Number of the generation; the one before the current if left out
    #[arg(long, value_name = "N", value_parser = generation)]
    pub(crate) to: Option<u64>,
    #[command(flatten)]
    pub(crate) activation: Activation,
    /// Show what would be changed and done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Accept options that reach further into the host than before
    #[arg(long)]
    pub(crate) allow_host_changes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Name of the container
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteGenerations {
    /// Name of the container
    pub(crate) name: String,
    /// Numbers, '+K' for all but the newest K, '30d' for all older than that, or 'old'
    #[arg(required = true, value_name = "GENERATIONS")]
    pub(crate) generations: Vec<String>,
    /// Show what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Name of the container
    pub(crate) name: String,
    /// Number of the generation
    #[arg(value_name = "N", value_parser = generation)]
    pub(crate) generation: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Name of the container
    pub(crate) name: String,
    /// Generation to compare; the one before the current if left out
    #[arg(value_name = "N", value_parser = generation)]
    pub(crate) from: Option<u64>,
    /// Generation to compare it with; the current if left out
    #[arg(value_name = "M", value_parser = generation)]
    pub(crate) to: Option<u64>,
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
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name of the container
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// Name of the container
    pub(crate) name: String,
    /// How it takes effect; the container's own strategy if nothing is said
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

/// The number of a generation.
fn generation(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        "not the number of a generation; 'nixos-nspawn list-generations NAME' shows all".to_owned()
    })
}
