//! The states of many containers' units. A question about a unit costs PID 1 milliseconds, so it is asked about as few as
//! possible: files tell the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::DROP_IN;
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};
use serde::Deserialize;
use systemd_unit_syntax::parse;

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::time;
use crate::host::files::names_in;
use crate::host::registration;
use crate::host::systemd::{UnitState, shown};

/// Where others may put files for the unit of one container (`systemd.unit(5)`). What generators make is loaded as soon as
/// it is made.
const UNIT_DIRECTORIES: [&str; 9] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// Up to this many containers, PID 1 shows all units that it has loaded, with the time of the last change. That takes less
/// than the rest of a command.
const FEW: usize = 10;

/// Returns the units of these containers. PID 1 shows those that change their state, have failed, or have files of their
/// own, and one of the others that run and one of those that do not: these have the same files besides ours, so that a
/// daemon-reload is needed for all of them or none. A running container has been so since it was started, however it is
/// known.
pub(crate) fn states(host: &Host, names: &[MachineName]) -> Result<BTreeMap<MachineName, UnitState>> {
    let Sorted { mut asked, running, loaded, mut known } = Sorted::of(host, names)?;
    // What was started first is not newer than the last daemon-reload, if anything is.
    let first = running.iter().min_by_key(|(_, started)| *started).map(|(name, _)| *name);
    let sample = loaded.first().copied();
    asked.extend(first.into_iter().chain(sample));
    let shown = shown(host, &asked)?;
    let need_reload = |sample: Option<&MachineName>| {
        sample.and_then(|name| shown.get(name)).is_some_and(|state| state.need_reload)
    };
    for (name, started) in running {
        let (active, sub) = ("active".to_owned(), "running".to_owned());
        let (since, need_reload) = (Some(time::utc(started)), need_reload(first));
        let state = UnitState { active, sub, since, need_reload, ..from_files(host, name) };
        known.insert(name.clone(), state);
    }
    for name in loaded {
        let state = UnitState { need_reload: need_reload(sample), ..from_files(host, name) };
        known.insert(name.clone(), state);
    }
    for (name, mut state) in shown {
        if state.active == "active" {
            state.since = registration::started(host, &name).map(time::utc).or(state.since);
        }
        known.insert(name, state);
    }
    Ok(known)
}

/// Containers by what is known of their units.
struct Sorted<'a> {
    /// Those that PID 1 has to show.
    asked: Vec<&'a MachineName>,
    /// Those that run, with the times at which they were started.
    running: Vec<(&'a MachineName, SystemTime)>,
    /// Those that are loaded and do not run.
    loaded: Vec<&'a MachineName>,
    /// Those that are not loaded.
    known: BTreeMap<MachineName, UnitState>,
}

impl<'a> Sorted<'a> {
    fn of(host: &Host, names: &'a [MachineName]) -> Result<Self> {
        let listed = listed(host)?;
        let own = if names.len() > FEW { OwnFiles::read(host).ok() } else { None };
        let mut sorted =
            Self { asked: Vec::new(), running: Vec::new(), loaded: Vec::new(), known: BTreeMap::new() };
        for name in names {
            let unit = unit_name(name);
            let Some(state) = listed.get(&unit) else {
                sorted.known.insert(name.clone(), from_files(host, name));
                continue;
            };
            let like_others = own.as_ref().is_some_and(|own| !own.concern(&unit));
            let started = state.runs().then(|| registration::started(host, name)).flatten();
            match started {
                Some(started) if like_others => sorted.running.push((name, started)),
                None if like_others && state.rests() => sorted.loaded.push(name),
                _ => sorted.asked.push(name),
            }
        }
        Ok(sorted)
    }
}

/// A loaded unit, as `systemctl list-units` has it.
#[derive(Deserialize)]
struct Listed {
    unit: String,
    #[serde(default)]
    load: String,
    #[serde(default)]
    active: String,
    #[serde(default)]
    sub: String,
}

impl Listed {
    /// Returns whether it runs, and nothing is wrong with it.
    fn runs(&self) -> bool {
        self.load == "loaded" && self.active == "active" && self.sub == "running"
    }

    /// Returns whether nothing of it runs, and nothing is wrong with it.
    fn rests(&self) -> bool {
        self.load == "loaded" && self.active == "inactive"
    }
}

/// Returns the instances of the template that PID 1 has loaded, by name.
fn listed(host: &Host) -> Result<BTreeMap<String, Listed>> {
    let answer = host
        .manager("systemctl")
        .args([
            "list-units",
            "--all",
            "--full",
            "--no-pager",
            "--output=json",
            "--",
            "systemd-nspawn@*.service",
        ])
        .output()?;
    let units: Vec<Listed> = serde_json::from_str(&answer)
        .map_err(|error| Failed::Program(format!("systemctl list-units: unexpected answer: {error}")))?;
    Ok(units.into_iter().map(|unit| (unit.unit.clone(), unit)).collect())
}

/// The instances for which others have files or directories.
struct OwnFiles(BTreeSet<String>);

impl OwnFiles {
    fn read(host: &Host) -> Result<Self> {
        let mut instances = BTreeSet::new();
        for directory in UNIT_DIRECTORIES {
            let names = names_in(&host.path(directory))?;
            instances.extend(names.iter().map(|name| instance(name).to_owned()));
        }
        instances.remove("");
        Ok(Self(instances))
    }

    fn concern(&self, unit: &str) -> bool {
        self.0.contains(instance(unit))
    }
}

/// Returns the instance that a unit's name or that of a directory with drop-ins is about; nothing if it is about all
/// containers, or none. Of the part before the `@`, what follows the last dash may be missing (`systemd.unit(5)`).
fn instance(name: &str) -> &str {
    let rest = name.strip_prefix("systemd-nspawn@").or_else(|| name.strip_prefix("systemd-@"));
    rest.and_then(|rest| rest.strip_suffix(".d").unwrap_or(rest).strip_suffix(".service")).unwrap_or_default()
}

/// Returns the state of a unit about which PID 1 is not asked, as one that does not run, with the plan that is loaded, or
/// would be.
fn from_files(host: &Host, name: &MachineName) -> UnitState {
    let drop_in = host.path(format!("/{GENERATOR_DIRECTORY}/{}.d/{DROP_IN}", unit_name(name)));
    let parsed = fs::read(drop_in).ok().and_then(|bytes| parse(&bytes).ok()).unwrap_or_default();
    let prefix = format!("{PLAN_VARIABLE}=");
    let mut environment = parsed.file.values("Service", "Environment");
    UnitState {
        active: "inactive".to_owned(),
        sub: "dead".to_owned(),
        result: "success".to_owned(),
        plan: environment.find_map(|value| value.strip_prefix(&prefix)).map(str::to_owned),
        ..UnitState::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_single_containers() {
        for (name, about) in [
            ("systemd-nspawn@web.service.d", "web"),
            ("systemd-nspawn@web.service", "web"),
            ("systemd-@a-b.service.d", "a-b"),
            ("systemd-nspawn@.service.d", ""),
            ("systemd-nspawn@.service", ""),
            ("systemd-nspawn.service.d", ""),
            ("systemd-.service.d", ""),
            ("getty@tty1.service", ""),
        ] {
            assert_eq!(instance(name), about, "{name}");
        }
    }
}
