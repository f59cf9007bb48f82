//! Arguments of `apply`.

use clap::Args;

use super::build::{Activation, Several};

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
    /// Use this build of a container, made elsewhere, instead of building it; --host passes it
    #[arg(long, value_name = "NAME=PATH[,REF]")]
    pub(crate) built: Vec<String>,
    /// With --host: build there, instead of here
    #[arg(long)]
    pub(crate) build_on_host: bool,
    /// Use what Nix has fetched in the last hour, instead of asking servers for the newest revision
    #[arg(long)]
    pub(crate) no_refresh: bool,
    #[command(flatten)]
    pub(crate) activation: Activation,
    /// Also activate generations that failed or were rolled back
    #[arg(long)]
    pub(crate) retry: bool,
    #[command(flatten)]
    pub(crate) several: Several,
    /// Additional arguments for nix build; recorded for containers that are created
    #[arg(last = true, value_name = "NIX-ARGS")]
    pub(crate) nix_args: Vec<String>,
}
