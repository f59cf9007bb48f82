//! Arguments of `apply`.

use clap::Args;

use super::build::Activation;
use super::values::{ANY_REACH, reach_token};

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Only these containers
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Flake whose nixosContainers this host should have [default: Flake= in nixos-nspawn.conf, or the one applied before]
    #[arg(long, value_name = "REF")]
    pub(crate) flake: Option<String>,
    /// Remove containers that were applied from this flake, and that it no longer has for this host; their state is kept
    #[arg(long)]
    pub(crate) prune: bool,
    /// Start nothing
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Nix system to build for
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
    /// Use what Nix has fetched in the last hour, instead of asking servers for the newest revision
    #[arg(long)]
    pub(crate) no_refresh: bool,
    #[command(flatten)]
    pub(crate) activation: Activation,
    /// Also activate generations that failed or were rolled back
    #[arg(long)]
    pub(crate) retry: bool,
    /// How many builds may run at once [default: one for each core and 1 GB of free memory]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Also switch containers at the same time, unless one waits for another by 'after' or 'requires'
    #[arg(long)]
    pub(crate) parallel_activation: bool,
    /// How long the build of a container may take, such as 30min [default: the container's own, or no limit]
    #[arg(long, value_name = "TIME")]
    pub(crate) build_timeout: Option<String>,
    /// Show what would be done
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
    /// Additional arguments for nix build; recorded for containers that are created
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
}
