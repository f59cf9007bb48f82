//! Arguments of the commands that build or switch systems: create, update, plan and rollback.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::overrides::{KEPT, Override};
use super::values::{ANY_REACH, generation, reach_token};

/// The usage of `create`: clap would make one line of it, which is wider than a terminal.
const CREATE: &str = "nixos-nspawn create [OPTIONS] --flake <REF> <NAME> [-- <NIX-ARGS>...]
       nixos-nspawn create [OPTIONS] --config <FILE> <NAME> [-- <NIX-ARGS>...]
       nixos-nspawn create [OPTIONS] --profile <PATH> <NAME>";

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("source").required(true).args(["flake", "config", "profile"])),
    override_usage = CREATE
)]
pub(crate) struct Create {
    /// Name of the container
    pub(crate) name: String,
    /// Flake with nixosContainers.ATTR or nixosContainers.SYSTEM.ATTR; ATTR defaults to NAME
    #[arg(long, value_name = "REF[#ATTR]")]
    pub(crate) flake: Option<String>,
    /// NixOS configuration file to build
    #[arg(long, alias = "config-file", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use an existing build: a store path or a Nix profile
    #[arg(long, alias = "system-path", value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
    /// With --config: nixpkgs to build it with, a path or a flake reference [default: <nixpkgs>]
    #[arg(long, value_name = "PATH|REF", conflicts_with_all = ["flake", "profile"])]
    pub(crate) nixpkgs: Option<String>,
    /// Nix system to build for
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
    /// Use this build of the source, made elsewhere, instead of building it; --host passes it
    #[arg(long, value_name = "NAME=PATH[,REF]")]
    pub(crate) built: Vec<String>,
    /// With --host: build there, instead of here
    #[arg(long)]
    pub(crate) build_on_host: bool,
    /// Record it, but do not start it now
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Use a /nix/store that does not belong to root
    #[arg(long)]
    pub(crate) allow_user_store: bool,
    /// Forward ports even if a service of the host listens on them
    #[arg(long)]
    pub(crate) allow_taken_ports: bool,
    /// Additional arguments for nix build
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
    #[command(flatten)]
    pub(crate) overrides: Override,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("containers").required(true).args(["names", "all"])))]
pub(crate) struct Update {
    /// Names of the containers
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Every imperative container
    #[arg(long, conflicts_with_all = ["flake", "config", "profile", "nixpkgs", "set", "port", "bind", "bind_ro", "memory_max", "zone", "bridge", "env", "unset"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) from: From,
    #[command(flatten)]
    pub(crate) activation: Activation,
    /// With --all: also activate generations that failed or were rolled back
    #[arg(long, requires = "all")]
    pub(crate) retry: bool,
    #[command(flatten)]
    pub(crate) several: Several,
    /// Record NIX-ARGS for later updates as well
    #[arg(long, requires = "nix_args")]
    pub(crate) save_args: bool,
    /// Additional arguments for nix build, this time only
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
    #[command(flatten)]
    pub(crate) overrides: Override,
    /// Leave an option that was set on this host to the build again
    #[arg(long, value_name = "OPTION", help_heading = KEPT)]
    pub(crate) unset: Vec<String>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("containers").required(true).args(["names", "all"])))]
pub(crate) struct Plan {
    /// Names of the containers
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Every imperative container
    #[arg(long, conflicts_with_all = ["flake", "config", "profile", "nixpkgs", "set", "port", "bind", "bind_ro", "memory_max", "zone", "bridge", "env", "unset"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) from: From,
    /// How the update would take effect
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,
    /// Exit with 4 if anything would change
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Additional arguments for nix build
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
    #[command(flatten)]
    pub(crate) overrides: Override,
    /// Leave an option that was set on this host to the build again
    #[arg(long, value_name = "OPTION", help_heading = KEPT)]
    pub(crate) unset: Vec<String>,
}

/// How containers are updated, one or several.
#[derive(Debug, Clone, Args)]
pub(crate) struct Several {
    /// How many builds may run at once [default: one for each core and 1 GB of free memory]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Also switch containers at the same time, unless one waits for another by 'after' or 'requires'
    #[arg(long)]
    pub(crate) parallel_activation: bool,
    /// How long the build of a container may take, such as 30min [default: the container's own, or no limit]
    #[arg(long, value_name = "TIME")]
    pub(crate) build_timeout: Option<String>,
    /// Show what would be changed and done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: exit with 4 if anything would change
    #[arg(long, requires = "dry_run")]
    pub(crate) exit_code: bool,
    /// Accept options that reach further into the host than before; with a token of 'plan', exactly those
    #[arg(long, value_name = "TOKEN", num_args = 0..=1, require_equals = true, default_missing_value = ANY_REACH, value_parser = reach_token)]
    pub(crate) allow_host_changes: Option<String>,
    /// Forward ports even if a service of the host listens on them
    #[arg(long)]
    pub(crate) allow_taken_ports: bool,
}

/// The source of the new system; by default the recorded one.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct From {
    /// Flake to build from, recorded for later updates
    #[arg(long, value_name = "REF[#ATTR]", conflicts_with_all = ["config", "profile"])]
    pub(crate) flake: Option<String>,
    /// NixOS configuration file to build, recorded for later updates
    #[arg(long, alias = "config-file", value_name = "FILE", conflicts_with = "profile")]
    pub(crate) config: Option<PathBuf>,
    /// Use an existing build: a store path or a Nix profile
    #[arg(long, alias = "system-path", value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
    /// Nixpkgs to build a configuration file with, a path or a flake reference, recorded for later updates
    #[arg(long, value_name = "PATH|REF", conflicts_with_all = ["flake", "profile"])]
    pub(crate) nixpkgs: Option<String>,
    /// Nix system to build for
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
    /// Use this build of the source, made elsewhere, instead of building it; --host passes it
    #[arg(long, value_name = "NAME=PATH[,REF]")]
    pub(crate) built: Vec<String>,
    /// With --host: build there, instead of here
    #[arg(long)]
    pub(crate) build_on_host: bool,
    /// Use what Nix has fetched in the last hour, instead of asking servers for the newest revision
    #[arg(long)]
    pub(crate) no_refresh: bool,
}

/// How a new generation takes effect, and when it counts as successful.
#[derive(Debug, Clone, Args)]
pub(crate) struct Activation {
    /// How it takes effect [default: the container's own strategy]
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,
    #[command(flatten)]
    pub(crate) expected: Expected,
    /// Leave a failed generation running, for inspection
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What a container must show.
#[derive(Debug, Clone, Args)]
pub(crate) struct Expected {
    /// State the container must reach [default: the container's own, or degraded]
    #[arg(long, value_name = "STATE")]
    pub(crate) expect: Option<Expect>,
    /// Command that must succeed inside, retried until the timeout; '' for none [default: the container's own]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: Option<String>,
    /// How long it may take, such as 90s [default: the container's own, or its start timeout]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
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

/// The state that a container must reach after an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expect {
    /// The system inside is running, no unit failed
    Running,
    /// The system inside has started, and no unit failed that had not failed before
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
    /// Number of the generation [default: the one before the current]
    #[arg(long, value_name = "N", value_parser = generation)]
    pub(crate) to: Option<u64>,
    /// Also exchange the state for the newest snapshot of that generation; the present state is kept as a snapshot
    #[arg(long, conflicts_with = "strategy")]
    pub(crate) with_state: bool,
    #[command(flatten)]
    pub(crate) activation: Activation,
    /// Show what would be changed and done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Accept options that reach further into the host than before; with a token of 'plan', exactly those
    #[arg(long, value_name = "TOKEN", num_args = 0..=1, require_equals = true, default_missing_value = ANY_REACH, value_parser = reach_token)]
    pub(crate) allow_host_changes: Option<String>,
}
