//! The states of many containers' units. A question about a unit costs PID 1 milliseconds, so it is asked about as few as
//! possible: files tell the rest.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Deserialize;

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::time;
use crate::host::registration;
use crate::host::systemd::{UnitState, shown};
use crate::host::unit_files::{Generated, OtherFiles};

/// Up to this many containers, PID 1 shows all units that it has loaded, with the time of the last change. That takes less
/// than the rest of a command.
const FEW: usize = 10;

/// Returns the units of these containers. PID 1 shows those that change their state, have failed, or have files of their
/// own or an intent that has been changed, and one of the others that run and one of those that do not: the files of these are
/// the same or known, so that it can be told of each whether it needs a daemon-reload.
pub(crate) fn states(host: &Host, names: &[MachineName]) -> Result<BTreeMap<MachineName, UnitState>> {
    let Sorted { mut asked, running, loaded, mut known, changed } = Sorted::of(host, names)?;
    // What has run the longest is the likeliest to have been loaded before a file was deleted.
    let first = running.iter().min_by_key(|one| one.started).map(|one| one.name);
    let sample = loaded.first().map(|one| one.name);
    asked.extend(first.into_iter().chain(sample));
    let mut shown = shown(host, &asked)?;
    for (group, like) in [(&running, first), (&loaded, sample)] {
        let all = like.and_then(|like| shown.get(like)).is_some_and(|state| state.need_reload);
        for one in group {
            known.insert(one.name.clone(), one.state(all || one.files.older_than(changed)));
        }
    }
    // Not only of the one that was asked about.
    if let Some(state) = sample.and_then(|name| shown.get_mut(name)) {
        state.since = None;
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
    /// Those that run.
    running: Vec<Known<'a>>,
    /// Those that are loaded and do not run.
    loaded: Vec<Known<'a>>,
    /// Those that are not loaded.
    known: BTreeMap<MachineName, UnitState>,
    /// When somebody last changed a file that is part of all units.
    changed: Option<SystemTime>,
}

/// A loaded unit that PID 1 need not show.
struct Known<'a> {
    name: &'a MachineName,
    files: Generated,
    /// When it was started, if it runs.
    started: Option<SystemTime>,
}

impl Known<'_> {
    fn state(&self, need_reload: bool) -> UnitState {
        let rests = resting(&self.files);
        match self.started {
            Some(started) => UnitState {
                active: "active".to_owned(),
                sub: "running".to_owned(),
                since: Some(time::utc(started)),
                need_reload,
                ..rests
            },
            None => UnitState { need_reload, ..rests },
        }
    }
}

impl<'a> Sorted<'a> {
    fn of(host: &Host, names: &'a [MachineName]) -> Result<Self> {
        let listed = listed(host)?;
        let others = if names.len() > FEW { OtherFiles::read(host).ok() } else { None };
        let mut sorted = Self {
            asked: Vec::new(),
            running: Vec::new(),
            loaded: Vec::new(),
            known: BTreeMap::new(),
            changed: others.as_ref().and_then(|others| others.changed),
        };
        for name in names {
            let unit = unit_name(name);
            let files = || Generated::read(host, name);
            let Some(state) = listed.get(&unit) else {
                sorted.known.insert(name.clone(), resting(&files()));
                continue;
            };
            let started = state.runs().then(|| registration::started(host, name)).flatten();
            let as_others = others.as_ref().is_some_and(|others| !others.concern(&unit));
            let files = (as_others && (started.is_some() || state.rests())).then(files);
            match files.filter(|files| !files.uncertain) {
                None => sorted.asked.push(name),
                Some(files) if started.is_some() => sorted.running.push(Known { name, files, started }),
                Some(files) => sorted.loaded.push(Known { name, files, started }),
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

/// Returns the state of a unit that does not run.
fn resting(files: &Generated) -> UnitState {
    UnitState {
        active: "inactive".to_owned(),
        sub: "dead".to_owned(),
        result: "success".to_owned(),
        plan: files.plan.clone(),
        ..UnitState::default()
    }
}
