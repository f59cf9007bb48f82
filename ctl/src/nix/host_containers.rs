//! The containers of a flake, and the hosts that they are for (`nixosContainer.hosts`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::base::call::Messages;
use crate::base::exit::unchanged;
use crate::nix::cause::failure;
use crate::nix::flake::quoted;
use crate::nix::metadata::Resolved;
use crate::nix::tool::Nix;

/// A container of a flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlakeContainer {
    /// The path of its attribute.
    pub(crate) attribute: String,
    /// The names and tags of the hosts that it is for; `None` if it is for every host.
    pub(crate) hosts: Option<Vec<String>>,
}

/// What is evaluated for each name in `nixosContainers`: a container, or those of a system.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Entry {
    Container(Option<Vec<String>>),
    System(BTreeMap<String, Option<Vec<String>>>),
}

/// Returns the containers in `nixosContainers` of a flake that are for a Nix system or for any, by name.
pub(crate) fn containers(
    nix: &Nix,
    flake: &Resolved,
    system: &str,
    accepted: Option<u32>,
    arguments: &[String],
) -> Result<BTreeMap<String, FlakeContainer>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !system.chars().all(plain) {
        return unchanged(format!("'{system}' is not a Nix system"), "x86_64-linux is one");
    }
    // A container whose options cannot be evaluated is built, so that the failure names it.
    let expression = format!(
        "set: let
          hosts = value:
            let tried = builtins.tryEval (builtins.deepSeq (found value) (found value));
            in if tried.success then tried.value else null;
          found = value: value.config.nixosContainer.hosts or null;
          ofSystem = name: builtins.match \".*-(linux|darwin)\" name != null;
          wanted = builtins.filter (name: !ofSystem name || name == \"{system}\") (builtins.attrNames set);
          entry = name:
            if ofSystem name then {{ system = builtins.mapAttrs (_: hosts) set.${{name}}; }}
            else {{ container = hosts set.${{name}}; }};
        in builtins.listToAttrs (map (name: {{ inherit name; value = entry name; }}) wanted)"
    );
    let ended = nix
        .call_on("eval", &flake.reference, accepted)
        .args(["--no-write-lock-file", "--json", "--apply", &expression])
        .arg(format!("{}#nixosContainers", flake.reference))
        .args(arguments)
        .ended_with(Messages::PassedOn)?;
    if !ended.status.success() {
        return Err(failure("eval", &ended).into());
    }
    let entries: BTreeMap<String, Entry> =
        serde_json::from_str(&ended.stdout).context("nix eval: unexpected answer")?;
    Ok(by_name(entries))
}

/// Returns the containers by name. One that is there for all systems comes before one for the host's.
fn by_name(entries: BTreeMap<String, Entry>) -> BTreeMap<String, FlakeContainer> {
    let mut all = BTreeMap::new();
    let mut direct = BTreeMap::new();
    for (name, entry) in entries {
        let path = format!("nixosContainers.{}", quoted(&name));
        match entry {
            Entry::Container(hosts) => drop(direct.insert(name, FlakeContainer { attribute: path, hosts })),
            Entry::System(set) => all.extend(set.into_iter().map(|(name, hosts)| {
                let attribute = format!("{path}.{}", quoted(&name));
                (name, FlakeContainer { attribute, hosts })
            })),
        }
    }
    all.extend(direct);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_both_layouts() {
        let text = r#"{
            "web": {"container": null},
            "db.internal": {"container": ["alpha"]},
            "x86_64-linux": {"system": {"web": ["beta"], "mail": null}}
        }"#;
        let all = by_name(serde_json::from_str(text).unwrap());
        let found: Vec<(&str, &str, Option<&[String]>)> = all
            .iter()
            .map(|(name, one)| (name.as_str(), one.attribute.as_str(), one.hosts.as_deref()))
            .collect();
        let alpha = ["alpha".to_owned()];
        assert_eq!(
            found,
            [
                ("db.internal", "nixosContainers.\"db.internal\"", Some(&alpha[..])),
                ("mail", "nixosContainers.x86_64-linux.mail", None),
                ("web", "nixosContainers.web", None),
            ]
        );
    }
}
