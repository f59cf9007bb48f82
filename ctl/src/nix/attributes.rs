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
        // Nothing is built for a completion.
        .args([
            "--no-write-lock-file",
            "--option",
            "allow-import-from-derivation",
            "false",
            "--json",
            "--apply",
            NAMES,
        ])
        .arg(format!("{}#nixosContainers", flake.reference))
        .limit(PATIENCE)
        .output()?;
    let mut names: Vec<String> = serde_json::from_str(&text)?;
    // The flake's author chose them, and they go to a shell and a terminal.
    names.retain(|name| is_harmless(name));
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns whether a name has no meaning to a shell or a terminal.
fn is_harmless(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
}

#[cfg(test)]
mod tests {
    use super::is_harmless;

    #[test]
    fn names_go_to_a_shell() {
        assert!(["web", "web-1", "db.internal", "_a"].iter().all(|name| is_harmless(name)));
        for name in
            ["", "-x", "a b", "a;b", "$(reboot)", "`a`", "a\nb", "a\u{1b}[31m", "a\u{202e}", "~", "a'"]
        {
            assert!(!is_harmless(name), "{name:?}");
        }
    }
}
