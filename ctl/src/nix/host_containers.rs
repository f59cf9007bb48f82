//! The containers of a flake, and the hosts that they are for (`nixosContainer.hosts`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::base::call::Messages;
use crate::base::exit::unchanged;
use crate::nix::cause::{Cause, failure};
use crate::nix::flake::quoted;
use crate::nix::metadata::Resolved;
use crate::nix::tool::Nix;

/// The hosts that a container is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Hosts {
    /// Every host.
    Every,
    /// Those with these names or tags.
    Named(Vec<String>),
    /// The option cannot be evaluated, or is no list of texts.
    Unreadable,
}

/// A container of a flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlakeContainer {
    /// The path of its attribute.
    pub(crate) attribute: String,
    pub(crate) hosts: Hosts,
}

/// What is evaluated.
#[derive(Debug, Deserialize)]
struct Evaluated {
    /// The Nix systems that have containers.
    systems: Vec<String>,
    containers: Vec<Entry>,
}

/// A container as it is evaluated.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    /// The Nix system that it is below.
    system: Option<String>,
    hosts: Hosts,
}

/// Reads the option of a container. An error that Nix can catch is the answer as well.
const READ: &str = r#"value:
    let
      found = value.config.nixosContainer.hosts or null;
      tried = builtins.tryEval (builtins.deepSeq found found);
    in
    if !tried.success then "unreadable"
    else if tried.value == null then "every"
    else if builtins.isList tried.value && builtins.all builtins.isString tried.value then { named = tried.value; }
    else "unreadable""#;

/// The call of `nix eval` for a flake.
struct Call<'a> {
    nix: &'a Nix<'a>,
    flake: &'a Resolved,
    accepted: Option<u32>,
    arguments: &'a [String],
}

impl Call<'_> {
    /// Applies a function to an attribute. Returns the error if the evaluation fails, and whether that is the flake's own.
    fn evaluate(
        &self,
        attribute: &str,
        function: &str,
    ) -> Result<Result<String, (Option<Cause>, anyhow::Error)>> {
        let ended = self
            .nix
            .call_on("eval", &self.flake.reference, self.accepted)
            .args(["--no-write-lock-file", "--json", "--apply", function])
            .arg(format!("{}#{attribute}", self.flake.reference))
            .args(self.arguments)
            .may_ask()
            .ended_with(Messages::PassedOn)?;
        Ok(match ended.status.success() {
            true => Ok(ended.stdout),
            false => Err((Cause::of(&ended.stderr), failure("eval", &ended).into())),
        })
    }
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
    let call = Call { nix, flake, accepted, arguments };
    let (text, each) = match call.evaluate("nixosContainers", &all(system, READ))? {
        Ok(text) => (text, false),
        // One container may fail in a way that Nix cannot catch: then each is evaluated by itself.
        Err((Some(Cause::Evaluation), _)) => {
            let text = call.evaluate("nixosContainers", &all(system, r#"_: "unreadable""#))?;
            (text.map_err(|(_, error)| error)?, true)
        }
        Err((_, error)) => return Err(error),
    };
    let Evaluated { systems, containers } =
        serde_json::from_str(&text).context("nix eval: unexpected answer")?;
    if containers.is_empty() && !systems.is_empty() {
        return unchanged(
            format!("{}: nixosContainers has none for {system}", flake.reference),
            format!("it has some for {}; see --system", systems.join(", ")),
        );
    }
    let mut found = by_name(containers);
    for container in found.values_mut().filter(|_| each) {
        if let Ok(text) = call.evaluate(&container.attribute, READ)? {
            container.hosts = serde_json::from_str(&text).context("nix eval: unexpected answer")?;
        }
    }
    Ok(found)
}

/// Returns the function that evaluates all containers for a system with `read`. A container may be called as a system is.
fn all(system: &str, read: &str) -> String {
    format!(
        r#"set:
    let
      hosts = {read};
      isSystem = name: builtins.match ".*-(linux|darwin)" name != null && set.${{name}}.type or null != "derivation";
      entry = system: name: value: {{ inherit name system; hosts = hosts value; }};
      of = set: system: map (name: entry system name set.${{name}});
      names = builtins.attrNames set;
    in
    {{
      systems = builtins.filter (name: isSystem name && set.${{name}} != {{ }}) names;
      containers =
        of set null (builtins.filter (name: !isSystem name) names)
        ++ (if builtins.elem "{system}" names && isSystem "{system}" then
          of set."{system}" "{system}" (builtins.attrNames set."{system}")
        else
          [ ]);
    }}"#
    )
}

/// Returns the containers by name. One that is there for all systems comes before one for the host's.
fn by_name(entries: Vec<Entry>) -> BTreeMap<String, FlakeContainer> {
    let (direct, of_system): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.system.is_none());
    let one = |Entry { name, system, hosts }: Entry| {
        let system = system.map(|system| format!("{}.", quoted(&system))).unwrap_or_default();
        let attribute = format!("nixosContainers.{system}{}", quoted(&name));
        (name, FlakeContainer { attribute, hosts })
    };
    of_system.into_iter().chain(direct).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_both_layouts() {
        let text = r#"{ "systems": ["x86_64-linux"], "containers": [
            { "name": "web", "system": null, "hosts": "every" },
            { "name": "db.internal", "system": null, "hosts": { "named": ["alpha"] } },
            { "name": "web", "system": "x86_64-linux", "hosts": { "named": ["beta"] } },
            { "name": "mail", "system": "x86_64-linux", "hosts": "unreadable" }
        ] }"#;
        let evaluated: Evaluated = serde_json::from_str(text).unwrap();
        let all = by_name(evaluated.containers);
        let found: Vec<(&str, &str, &Hosts)> =
            all.iter().map(|(name, one)| (name.as_str(), one.attribute.as_str(), &one.hosts)).collect();
        assert_eq!(
            found,
            [
                ("db.internal", "nixosContainers.\"db.internal\"", &Hosts::Named(vec!["alpha".to_owned()])),
                ("mail", "nixosContainers.x86_64-linux.mail", &Hosts::Unreadable),
                ("web", "nixosContainers.web", &Hosts::Every),
            ]
        );
    }
}
