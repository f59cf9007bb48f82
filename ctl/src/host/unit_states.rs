//! The states of many containers' units. A question about a unit costs PID 1 milliseconds, so it is asked about as few as
//! possible: files tell the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Result;
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::DROP_IN;
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};
use serde::Deserialize;
use systemd_unit_syntax::parse;

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::host::files::names_in;
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

/// Returns the units of these containers. PID 1 shows those that run, have failed, or have files of their own, and one of
/// the others that it has loaded: all of these have the same files besides ours, so that a daemon-reload is needed for all of
/// them or none.
pub(crate) fn states(host: &Host, names: &[MachineName]) -> Result<BTreeMap<MachineName, UnitState>> {
    let listed = listed(host)?;
    let own = OwnFiles::read(host);
    let mut asked = Vec::new();
    let mut loaded = Vec::new();
    let mut others = Vec::new();
    for name in names {
        let unit = unit_name(name);
        match listed.get(&unit) {
            None => others.push(name),
            Some(state)
                if names.len() > FEW
                    && state.rests()
                    && own.as_ref().is_ok_and(|own| !own.concern(&unit)) =>
            {
                loaded.push(name);
            }
            Some(_) => asked.push(name),
        }
    }
    let sample = loaded.pop();
    asked.extend(sample);
    let mut states = shown(host, &asked)?;
    let need_reload = sample.and_then(|name| states.get(name)).is_some_and(|state| state.need_reload);
    states.extend(
        loaded.into_iter().map(|name| (name.clone(), UnitState { need_reload, ..resting(host, name) })),
    );
    states.extend(others.into_iter().map(|name| (name.clone(), resting(host, name))));
    Ok(states)
}

/// A loaded unit, as `systemctl list-units` has it.
#[derive(Deserialize)]
struct Listed {
    unit: String,
    #[serde(default)]
    load: String,
    #[serde(default)]
    active: String,
}

impl Listed {
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

/// Returns the state of a unit that does not run, with the plan that is loaded, or would be.
fn resting(host: &Host, name: &MachineName) -> UnitState {
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
