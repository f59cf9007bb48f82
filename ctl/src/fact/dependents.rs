//! Relations between a container and other units: containers that it names but that do not exist, and units that
//! require it. systemd stops the latter together with the container, but does not start them again; whoever restarts
//! the container does.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use nixos_nspawn_units::intent::{Dependency, Intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::ordering::unknown;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::socket::container_of;
use nixos_nspawn_units::store::{LoadError, Loaded};

use crate::base::event::Event;
use crate::base::host::Host;

/// Returns a note on each name that is not a known container. It may be a container that is not managed here, or one
/// that is yet to be created.
pub(crate) fn unknown_names(loaded: &Loaded, intent: &Intent) -> Vec<String> {
    let note = |name: &str| {
        format!("after, requires or wants names '{name}', which is not a container of nixos-nspawn (yet)")
    };
    unknown(intent, |name| recorded(loaded, name)).into_iter().map(note).collect()
}

/// Returns a note on each required container that does not exist, managed here or not.
pub(crate) fn missing(host: &Host, loaded: &Loaded, intent: &Intent) -> Vec<String> {
    let required = intent.container.requires.iter().filter_map(Dependency::container);
    let there = |name: &str| {
        let image = |end: &str| host.machines().join(format!("{name}{end}")).symlink_metadata().is_ok();
        recorded(loaded, name) || image("") || image(".raw")
    };
    let note = |name: &str| {
        format!(
            "requires '{name}', which is not a container here, so it cannot start; create it or remove the dependency"
        )
    };
    required.filter(|name| !there(name)).map(note).collect()
}

/// Returns whether there is an intent of this name, valid or not.
fn recorded(loaded: &Loaded, name: &str) -> bool {
    let broken = |error: &LoadError| error.name.as_ref().is_some_and(|other| other.as_str() == name);
    // They are sorted.
    let good = loaded.intents.binary_search_by(|stored| stored.name.as_str().cmp(name));
    good.is_ok() || loaded.errors.iter().any(broken)
}

/// The containers that require each one.
pub(crate) struct Requiring<'a>(BTreeMap<&'a str, Vec<&'a MachineName>>);

impl<'a> Requiring<'a> {
    /// Looks through all containers once.
    pub(crate) fn of(loaded: &'a Loaded) -> Self {
        let mut all: BTreeMap<&str, Vec<&MachineName>> = BTreeMap::new();
        for stored in &loaded.intents {
            let required: BTreeSet<&str> =
                stored.intent.container.requires.iter().filter_map(Dependency::container).collect();
            for other in required {
                all.entry(other).or_default().push(&stored.name);
            }
        }
        Self(all)
    }

    /// Returns those that require this one.
    pub(crate) fn containers(&self, name: &MachineName) -> Vec<MachineName> {
        self.0.get(name.as_str()).into_iter().flatten().copied().cloned().collect()
    }
}

/// Returns the containers that require this one.
pub(crate) fn requiring(loaded: &Loaded, name: &MachineName) -> Vec<MachineName> {
    Requiring::of(loaded).containers(name)
}

/// Returns the running units that would stop with the container: those that require it, directly or indirectly.
pub(crate) fn running(host: &Host, name: &MachineName) -> Result<Vec<String>> {
    let mut next = BTreeSet::from([unit_name(name)]);
    let mut seen = next.clone();
    let mut active = Vec::new();
    while !next.is_empty() {
        let answer = host
            .manager("systemctl")
            .args(["show", "-p", "Id", "-p", "ActiveState", "-p", "RequiredBy", "-p", "BoundBy", "--"])
            .args(&next)
            .output()?;
        next.clear();
        for block in answer.split("\n\n") {
            let value = |key: &str| {
                block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
            };
            if !["active", "activating", "reloading", "refreshing"].contains(&value("ActiveState")) {
                continue;
            }
            active.push(value("Id").to_owned());
            let needing = [value("RequiredBy"), value("BoundBy")].map(str::split_whitespace);
            next.extend(needing.into_iter().flatten().map(str::to_owned).filter(|unit| !seen.contains(unit)));
        }
        seen.extend(next.iter().cloned());
    }
    // Sockets start with their container and proxies on a connection; another generation may not have them at all.
    active.retain(|unit| *unit != unit_name(name) && container_of(unit).is_none());
    Ok(active)
}

/// Starts units that stopped with the container. A failure of theirs is not a failure of the container.
pub(crate) fn start_again(host: &Host, units: &[String]) {
    if units.is_empty() {
        return;
    }
    if let Err(error) = host.manager("systemctl").args(["start", "--"]).args(units).output() {
        host.report(Event::DependentsDown { units: units.to_vec(), error: format!("{error:#}") });
    }
}
