//! The containers of a flake, for shells that complete a reference.

use std::time::Duration;

use anyhow::Result;

use crate::base::host::Host;
use crate::nix::flake::Flake;
use crate::nix::tool::Nix;

/// How long a shell waits. Nix keeps what it has fetched, so the next completion is faster.
const PATIENCE: Duration = Duration::from_secs(5);

/// The names in `nixosContainers`, without the systems that they may be below.
const NAMES: &str = "set: builtins.concatLists (map (name: \
    if builtins.match \".*-(linux|darwin)\" name != null then builtins.attrNames set.${name} else [ name ]) \
    (builtins.attrNames set))";

/// Returns the attributes below `nixosContainers` of the flake at `reference`.
pub(crate) fn attributes(host: &Host, reference: &str) -> Result<Vec<String>> {
    let flake = Flake::parse(reference, &std::env::current_dir()?)?;
    flake.check()?;
    let text = Nix::find(host)?
        .call_on("eval", &flake.reference, None)
        .args(["--no-write-lock-file", "--json", "--apply", NAMES])
        .arg(format!("{}#nixosContainers", flake.reference))
        .limit(PATIENCE)
        .output()?;
    let mut names: Vec<String> = serde_json::from_str(&text)?;
    names.dedup();
    Ok(names)
}
