//! The flake that `apply` applies, and what that means for each container of this host. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded};
use nixos_nspawn_units::value::shown;
use rustix::system::uname;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::decision::host_flake::{Part, Recorded, is_for, parts};
use crate::fact::lookup::all_seen;
use crate::nix::flake::Flake;
use crate::nix::host_containers::{FlakeContainer, containers};
use crate::nix::metadata::Resolved;
use crate::nix::source::SourceArguments;
use crate::nix::tool;
use crate::nix::tool::{Nix, Outcome};

/// What a flake means for this host.
pub(crate) struct HostFlake {
    /// The reference, with an absolute path.
    pub(crate) reference: String,
    /// Its revision.
    pub(crate) at: Arc<Resolved>,
    /// What happens to each container.
    pub(crate) parts: BTreeMap<MachineName, Part>,
    /// The attributes of the containers that the flake has for this host.
    pub(crate) attributes: BTreeMap<MachineName, String>,
    /// Names in the flake that are not names of containers, and why.
    pub(crate) unnamed: Vec<(String, String)>,
}

/// Resolves the flake, and decides for each of its containers, or for those that are named.
pub(crate) fn look(
    host: &Host,
    nix: &Nix,
    source: &SourceArguments,
    names: &[MachineName],
) -> Result<HostFlake> {
    let loaded = host.load();
    // What cannot be seen must not be created a second time, or be taken for gone.
    all_seen(&loaded)?;
    let reference = reference(host, &loaded, source.flake)?;
    let source = SourceArguments { flake: Some(&reference), ..*source };
    let wanted = source.wanted(host, None)?;
    let at = match nix.resolve(&reference, wanted.source.owner, &wanted.arguments, "")? {
        Outcome::At(at) => at,
        Outcome::Unreachable(reason) => return Err(Failed::Program(reason).into()),
    };
    let system = wanted.source.system.as_ref();
    let system = system.map_or_else(tool::native_system, |system| system.as_str().to_owned());
    let all = containers(nix, &at, &system, wanted.source.owner, &wanted.arguments)?;
    let (mut attributes, mut unnamed) = (BTreeMap::new(), Vec::new());
    for (name, FlakeContainer { attribute, hosts }) in all {
        if !is_for(hosts.as_deref(), &host_names(host).iter().map(String::as_str).collect::<Vec<_>>()) {
            continue;
        }
        match name.parse::<MachineName>() {
            Ok(name) => drop(attributes.insert(name, attribute)),
            Err(error) => unnamed.push((shown(&name), error.to_string())),
        }
    }
    let wanted: BTreeSet<MachineName> = attributes.keys().cloned().collect();
    let mut parts = parts(&reference, &wanted, &recorded(&loaded));
    if !names.is_empty() {
        if let Some(name) = names.iter().find(|name| !parts.contains_key(*name)) {
            let has: Vec<&str> = parts.keys().map(MachineName::as_str).collect();
            let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
            return unchanged(
                format!(
                    "{reference}: there is no container '{name}' for this host ({})",
                    host_names(host).join(", ")
                ),
                format!("it has {has}"),
            );
        }
        parts.retain(|name, _| names.contains(name));
        unnamed.clear();
    }
    Ok(HostFlake { reference, at, parts, attributes, unnamed })
}

/// Returns the flake as given, as configured, or as it was applied before.
fn reference(host: &Host, loaded: &Loaded, given: Option<&str>) -> Result<String> {
    let here = std::env::current_dir()?;
    let applied = || -> BTreeSet<String> {
        recorded(loaded)
            .into_values()
            .filter_map(|one| match one {
                Recorded::Applied(reference) => Some(reference),
                _ => None,
            })
            .collect()
    };
    let text = match (given, &host.config.flake) {
        (Some(text), _) => text.to_owned(),
        (None, Some(text)) => text.as_str().to_owned(),
        (None, None) => {
            let mut applied = applied().into_iter();
            match (applied.next(), applied.next()) {
                (Some(one), None) => one,
                _ => {
                    return Err(Failed::Usage(
                        "no flake is given, nothing was changed; pass --flake, or set Flake= in nixos-nspawn.conf(5)"
                            .to_owned(),
                    )
                    .into());
                }
            }
        }
    };
    let flake = Flake::parse(&text, &here)?;
    if let Some(attribute) = flake.attribute {
        return Err(Failed::Usage(format!(
            "{text}: 'apply' takes a whole flake, nothing was changed; leave out #{attribute}, and name containers after \
             the options"
        ))
        .into());
    }
    flake.check()?;
    Ok(flake.reference)
}

/// Returns what is recorded.
fn recorded(loaded: &Loaded) -> BTreeMap<MachineName, Recorded> {
    let broken = loaded.errors.iter().filter(|error| !error.shadowed).filter_map(|error| {
        let why = if error.kind == Kind::Declarative {
            Recorded::Declarative
        } else {
            Recorded::Broken(error.to_string())
        };
        Some((error.name.clone()?, why))
    });
    let good = loaded.intents.iter().map(|stored| {
        let source = stored.intent.source.as_ref().filter(|source| source.applied);
        let flake = source.and_then(|source| source.flake.as_ref());
        let reference = flake.and_then(|flake| flake.as_str().split('#').next());
        let one = match (stored.kind, reference) {
            (Kind::Declarative, _) => Recorded::Declarative,
            (Kind::Imperative, Some(reference)) => Recorded::Applied(reference.to_owned()),
            (Kind::Imperative, None) => Recorded::ByHand,
        };
        (stored.name.clone(), one)
    });
    broken.chain(good).collect()
}

/// Returns the name and the tags of this host.
fn host_names(host: &Host) -> Vec<String> {
    let own = || uname().nodename().to_string_lossy().into_owned();
    let name = host.config.host_name.as_ref().map_or_else(own, |name| name.as_str().to_owned());
    [name].into_iter().chain(host.config.tags.iter().cloned()).collect()
}
