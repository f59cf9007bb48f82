//! Plans every file and link below the generator's directory, by relative path, from everything that was loaded. The
//! same input in any order gives the same bytes. Nothing here does I/O or fails as a whole: a container that cannot be
//! planned is refused.

mod container;
mod contents;
mod hash;
mod network;
mod writable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::boot::{BootLimit, turn_of};
use crate::conflict::conflicts;
use crate::deadline::{InTime, Work, unlimited};
use crate::intent::Intent;
use crate::invalid::brief;
use crate::name::MachineName;
use crate::network::{ENDING, PREFIX};
use crate::nspawn::nspawn_file;
use crate::ordering::Order;
use crate::parallel::in_parts;
use crate::socket::container_of;
use crate::store::{Host, Kind, LoadError, Loaded, Stored};
use crate::version::unmet;

use container::{Surroundings, accepted, refused};
use network::zones;
use writable::Writable;

pub use contents::{
    DROP_IN, EXTENSION, Entry, Files, MARKER, NETWORK_ASKED, NETWORK_HASH, NETWORK_NAME, OWN_DIRECTORY, Plan,
    Planned, WRITABLE,
};

/// The reason for refusing a container for which there was no time.
const NO_TIME: &str =
    "was not planned, since nixos-nspawn-generator ran out of time; make the largest files smaller";

/// Returns the plan for everything that was loaded.
///
/// ```
/// use nixos_nspawn_units::intent::Intent;
/// use nixos_nspawn_units::name::MachineName;
/// use nixos_nspawn_units::plan::plan;
/// use nixos_nspawn_units::store::{Kind, Loaded, Stored};
///
/// let name: MachineName = "web".parse()?;
/// let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web".parse()?;
/// let intent = Box::new(Intent::new(name.clone(), toplevel));
/// let path = "/etc/nixos-nspawn/web.json".to_owned();
/// let loaded = Loaded { intents: vec![Stored { name, kind: Kind::Imperative, path, intent }], ..Loaded::default() };
///
/// let plan = plan(&loaded);
/// assert!(plan.files.contains_key("nixos-nspawn/web.nspawn"));
/// assert!(plan.files.contains_key("systemd-nspawn@web.service.d/50-nixos-nspawn.conf"));
/// assert_eq!(plan.containers[0].refusal, None);
/// # Ok::<(), nixos_nspawn_units::invalid::Invalid>(())
/// ```
pub fn plan(loaded: &Loaded) -> Plan {
    collected(&Input::of(loaded), &|_| true, true)
}

/// Does the same as long as there is time, and hands over the files of each container, or those of no container in
/// particular, as soon as they are planned. The start of containers that are not planned in time is refused. Many
/// containers are planned by several threads, each of which hands over what it plans to an output of its own.
pub fn plan_in_time<H: FnMut(Option<&MachineName>, Files)>(
    loaded: &Loaded,
    in_time: InTime,
    outputs: &(impl Fn() -> H + Sync),
) -> Plan {
    plan_with(&Input::of(loaded), in_time, &|_| true, true, outputs)
}

/// Plans only the containers that are wanted, each as if all were planned: the others take no time, but their conflicts and
/// their order count.
pub fn plan_some(loaded: &Loaded, wanted: &dyn Fn(&MachineName) -> bool) -> Plan {
    collected(&Input::of(loaded), wanted, false)
}

/// Plans one intent as if it were in the place of what has its name, or new. Faults of other files are left out.
pub fn plan_beside(loaded: &Loaded, stored: &Stored) -> Plan {
    let others = loaded.intents.iter().filter(|other| other.name != stored.name);
    let intents = others.chain([stored]).collect();
    collected(&Input { intents, errors: &[], host: &loaded.host }, &|name| *name == stored.name, false)
}

/// What is planned.
struct Input<'a> {
    intents: Vec<&'a Stored>,
    errors: &'a [LoadError],
    host: &'a Host,
}

impl<'a> Input<'a> {
    fn of(loaded: &'a Loaded) -> Self {
        Self { intents: loaded.intents.iter().collect(), errors: &loaded.errors, host: &loaded.host }
    }
}

fn collected(input: &Input, wanted: &dyn Fn(&MachineName) -> bool, whole: bool) -> Plan {
    let files = Mutex::new(BTreeMap::new());
    let collect = |_: Option<&MachineName>, own: Files| {
        files.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
    };
    let plan = plan_with(input, &unlimited, wanted, whole, &|| collect);
    Plan { files: files.into_inner().unwrap_or_else(PoisonError::into_inner), ..plan }
}

fn plan_with<H: FnMut(Option<&MachineName>, Files)>(
    input: &Input,
    in_time: InTime,
    wanted: &dyn Fn(&MachineName) -> bool,
    whole: bool,
    outputs: &(impl Fn() -> H + Sync),
) -> Plan {
    let intents = || input.intents.iter().map(|stored| (&stored.name, &*stored.intent));
    let conflicts = conflicts(intents());
    let host = Surroundings::of(input);
    let mut plan = Plan::default();
    // Before the containers that wait for them.
    outputs()(None, shared(&host, &mut plan.faults));
    let lists_writable = whole && !input.errors.iter().any(LoadError::may_hide_containers);
    let wanted_intents: Vec<&Stored> =
        input.intents.iter().copied().filter(|stored| wanted(&stored.name)).collect();
    let parts = in_parts(&wanted_intents, |part| {
        let mut hand_over = outputs();
        let mut writable = lists_writable.then(Writable::new);
        let planned = part.iter().map(|stored| {
            let mut warnings = conflicts.get(&stored.name).cloned().unwrap_or_default();
            warnings.extend(host.order.warning(&stored.name));
            let in_time = in_time(Work::Plan);
            writable = writable.take().filter(|_| in_time);
            let (planned, files) = decided(stored, warnings, &host, writable.as_mut(), in_time);
            hand_over(Some(&stored.name), files);
            planned
        });
        (planned.collect::<Vec<Planned>>(), writable)
    });
    // The list is complete, or missing.
    let mut writable = lists_writable.then(Writable::new);
    for (planned, of_part) in parts {
        plan.containers.extend(planned);
        writable = writable.zip(of_part).map(|(list, of_part)| list.with(of_part));
    }
    let mut hand_over = outputs();
    for error in input.errors {
        match &error.name {
            Some(name) if !error.shadowed && !wanted(name) => {}
            Some(name) if !error.shadowed => {
                let (planned, files) =
                    refused(name, error.kind, &error.path, &error.to_string(), error.autostart);
                hand_over(Some(name), files);
                plan.containers.push(planned);
            }
            _ => plan.faults.push(brief(&error.to_string())),
        }
    }
    if let Some(writable) = writable.filter(|_| !input.intents.is_empty()) {
        hand_over(None, writable.file().into_iter().collect());
    }
    plan.containers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    plan.faults.sort();
    plan
}

impl<'a> Surroundings<'a> {
    fn of(input: &Input<'a>) -> Self {
        let intents = || input.intents.iter().map(|stored| (&stored.name, &*stored.intent));
        let limited = BootLimit::takes_turns(input.host);
        let systemd = input.host.systemd;
        // A refused container takes no turn, so that other containers do not depend on it. Only with turns is each
        // container rendered twice.
        let usable = |intent: &Intent| {
            !limited || nspawn_file(intent).is_ok_and(|file| unmet(&file, systemd).is_none())
        };
        let order = Order::of(intents().filter(|(_, intent)| usable(intent)), limited);
        let limit = BootLimit::of(input.host, || {
            let autostart: BTreeSet<&MachineName> =
                intents().filter(|(_, intent)| intent.starts_at_boot()).map(|(name, _)| name).collect();
            order.at_boot(|name| autostart.contains(name))
        });
        let zones = zones(intents().map(|(_, intent)| &intent.container), systemd);
        Self { systemd, order, limit, zones }
    }
}

/// Returns the units of all containers together, and adds those that systemd would read differently to `faults`.
fn shared(host: &Surroundings, faults: &mut Vec<String>) -> Files {
    let mut files = Files::new();
    for (path, mut unit) in host.limit.units() {
        unit.comment("Written by nixos-nspawn-generator(8) for bootLimit of /etc/nixos-nspawn/host.json.");
        match unit.check() {
            Ok(()) => files.push((path, Entry::File(unit.text()))),
            Err(error) => faults.push(brief(&format!("{path}: {error}"))),
        }
    }
    files
}

/// Returns the decision for the container of a good intent, and its files.
fn decided(
    stored: &Stored,
    warnings: Vec<String>,
    host: &Surroundings,
    writable: Option<&mut Writable>,
    in_time: bool,
) -> (Planned, Files) {
    let autostart = stored.intent.starts_at_boot();
    let files = if in_time { accepted(stored, &warnings, host, writable) } else { Err(NO_TIME.to_owned()) };
    match files {
        Ok((hash, files)) => {
            let planned = Planned {
                name: stored.name.clone(),
                kind: stored.kind,
                hash: Some(hash),
                autostart,
                warnings,
                refusal: None,
            };
            (planned, files)
        }
        Err(reason) => {
            let reason = format!("{}: {reason}", stored.path);
            refused(&stored.name, stored.kind, &stored.path, &reason, autostart)
        }
    }
}

/// Returns whether a path of the plan belongs to the container.
pub fn belongs_to(path: &str, name: &MachineName) -> bool {
    whose(path) == Some(name.as_str())
}

impl Plan {
    /// Returns the files and links of each container, by name. To look through all of them for each name would take time
    /// that grows with the square of their number.
    pub fn files_by_container(&self) -> BTreeMap<&str, Vec<(&str, &Entry)>> {
        let mut grouped: BTreeMap<&str, Vec<(&str, &Entry)>> = BTreeMap::new();
        for (path, entry) in &self.files {
            if let Some(name) = whose(path) {
                grouped.entry(name).or_default().push((path, entry));
            }
        }
        grouped
    }
}

/// Returns the container that a path of the plan belongs to; `None` for those of all containers together.
fn whose(path: &str) -> Option<&str> {
    turn_of(path).or_else(|| owner(path))
}

/// Returns the container that a file or link of the plan belongs to; `None` for those of all containers together, and for
/// the target of a turn.
fn owner(path: &str) -> Option<&str> {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    if directory == OWN_DIRECTORY {
        let network =
            crate::network::container_of(file).and_then(|_| file.strip_prefix(PREFIX)?.strip_suffix(ENDING));
        return network.or_else(|| file.strip_suffix(".nspawn")).or_else(|| file.strip_suffix(".refused"));
    }
    let unit = if directory.ends_with(".service.d") { directory.strip_suffix(".d")? } else { file };
    container_of(unit).or_else(|| unit.strip_prefix("systemd-nspawn@")?.strip_suffix(".service"))
}

/// Returns the plan of one intent by itself, as the generator would write it.
pub fn plan_one(name: &MachineName, kind: Kind, path: &str, intent: &Intent) -> Plan {
    let stored = Stored { name: name.clone(), kind, path: path.to_owned(), intent: Box::new(intent.clone()) };
    // Only the plan of all containers can tell whether the host is too old.
    let host = Host { systemd: u32::MAX, ..Host::default() };
    plan_some(&Loaded { intents: vec![stored], host, ..Loaded::default() }, &|_| true)
}

#[cfg(test)]
mod tests;
