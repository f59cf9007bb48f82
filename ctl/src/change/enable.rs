//! Sets whether a container starts with the host, in its intent. If systemd does not load the change, the old intent
//! is restored. Links of `systemctl enable` would override the setting, so disabling deletes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context as _, Error, Result};
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Loaded;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::several::Results;
use crate::change::tidy::tidy;
use crate::change::{settle, several};
use crate::fact::installation::generator_fault;
use crate::fact::lookup::imperative;
use crate::host::intent_file::{hash, intent_path, text, write, write_text};
use crate::host::lock::Lock;
use crate::host::pending::pending;
use crate::host::unit_links::{enabled_links, masked, system_path};
use crate::host::{host_file, systemd};

/// The result of enable or disable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Whether it started with the host before.
    pub(crate) before: bool,
    /// Whether something was changed.
    pub(crate) changed: bool,
    /// Whether `systemctl mask` prevents it from starting.
    pub(crate) masked: bool,
}

/// Sets whether containers start with the host. systemd reloads once for all of them.
pub(crate) fn set_all(host: &Host, names: &[MachineName], wanted: bool) -> Results<Setting> {
    tidy(host);
    let results = several::locked(host, names, |names| set_locked(host, names, wanted));
    tidy(host);
    results
}

/// Returns what [`set_all`] would do.
pub(crate) fn would_set_all(host: &Host, names: &[MachineName], wanted: bool) -> Results<Setting> {
    let loaded = host.load_these(&names.iter().collect::<Vec<_>>());
    let would = |name: &MachineName| Ok(Planned::of(host, &loaded, name, wanted)?.setting);
    names.iter().map(|name| (name.clone(), would(name))).collect()
}

/// What is to be changed.
struct Planned<'a> {
    present: &'a Intent,
    /// Links of `systemctl enable`, which would override the setting.
    links: Vec<PathBuf>,
    setting: Setting,
}

impl<'a> Planned<'a> {
    fn of(host: &Host, loaded: &'a Loaded, name: &MachineName, wanted: bool) -> Result<Self> {
        let present = imperative(loaded, name)?;
        let links = if wanted { Vec::new() } else { enabled_links(host, name)? };
        let setting = Setting {
            before: present.starts_at_boot() || !links.is_empty(),
            changed: present.autostart != Some(wanted) || !links.is_empty(),
            masked: masked(host, name),
        };
        Ok(Self { present, links, setting })
    }
}

/// A container whose setting is written, or was as wanted.
struct Written {
    name: MachineName,
    setting: Setting,
    intent: Intent,
    /// The text of the old intent, if that was to be changed.
    old: Option<String>,
    /// The links that were removed, with their targets.
    links: Vec<(PathBuf, PathBuf)>,
    /// Whether PID 1 has to load it.
    loads: bool,
    fault: Option<Error>,
}

fn set_locked(host: &Host, names: &[&MachineName], wanted: bool) -> Result<Results<Setting>> {
    let mut results = Results::new();
    let mut written = write_all(host, names, wanted, &mut results)?;
    load_all(host, &mut written, wanted);
    take_back(host, &mut written);
    for Written { name, setting, links, fault, .. } in written {
        let result = match fault {
            Some(fault) => Err(fault),
            None => {
                for (link, _) in &links {
                    host.report(Event::LinkRemoved { link: system_path(host, link) });
                }
                Ok(setting)
            }
        };
        results.insert(name, result);
    }
    Ok(results)
}

/// Writes the intents, and removes links of `systemctl enable` that would override them.
fn write_all(
    host: &Host,
    names: &[&MachineName],
    wanted: bool,
    results: &mut Results<Setting>,
) -> Result<Vec<Written>> {
    let records = pending(host)?;
    let _global = Lock::global(host)?;
    let loaded = host.load_these(names);
    let mut written = Vec::new();
    for &name in names {
        match settle::settled_in(&records, name).and_then(|()| write_one(host, &loaded, name, wanted)) {
            Ok(one) => written.push(one),
            Err(error) => drop(results.insert(name.clone(), Err(error))),
        }
    }
    if host.live() && written.iter().any(Written::changed) {
        let recorded = host_file::facts(host).and_then(|facts| host_file::record(host, &facts).map(drop));
        if let Err(error) = recorded {
            fail(written.iter_mut().filter(|one| one.changed()), error);
        }
    }
    Ok(written)
}

fn write_one(host: &Host, loaded: &Loaded, name: &MachineName, wanted: bool) -> Result<Written> {
    let Planned { present, links, setting } = Planned::of(host, loaded, name, wanted)?;
    let mut one = Written {
        name: name.clone(),
        setting,
        intent: Intent { autostart: Some(wanted), ..present.clone() },
        old: None,
        links: Vec::new(),
        // If nothing changes, a killed command may have recorded the setting before PID 1 loaded it.
        loads: host.live() && (setting.changed || starts(host, name) != wanted),
        fault: None,
    };
    if setting.changed {
        let path = intent_path(host, name);
        one.old = Some(fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        interrupt::check()?;
        // The links are removed last, so that a command that is killed before leaves the container enabled.
        let made = write(host, name, &one.intent).and_then(|()| remove_links(host, links, &mut one.links));
        one.fault = made.err();
    }
    Ok(one)
}

impl Written {
    fn changed(&self) -> bool {
        self.old.is_some() && self.fault.is_none()
    }
}

/// Gives all of them the failure of what was done for all.
fn fail<'a>(written: impl Iterator<Item = &'a mut Written>, error: Error) {
    let text = format!("{error:#}");
    let mut error = Some(error);
    for one in written {
        one.fault = Some(error.take().unwrap_or_else(|| Failed::Program(text.clone()).into()));
    }
}

/// Has PID 1 load the settings.
fn load_all(host: &Host, written: &mut [Written], wanted: bool) {
    let mut loading: Vec<&mut Written> =
        written.iter_mut().filter(|one| one.loads && one.fault.is_none()).collect();
    if loading.is_empty() {
        return;
    }
    // Nothing is loaded of a masked unit, so PID 1 has no plan to show (systemd.unit(5)).
    let shown = loading.iter().filter(|one| !masked(host, &one.name));
    let plans = shown.map(|one| (one.name.clone(), hash(&one.name, &one.intent))).collect();
    let mut faults = match systemd::reload_all(host, &plans) {
        Ok(faults) => faults,
        Err(error) => return fail(loading.into_iter(), error),
    };
    for one in &mut loading {
        one.fault = faults.remove(&one.name).or_else(|| link_fault(host, &one.name, wanted));
    }
}

/// Returns what is wrong with the link that starts the container. The plan does not tell: its hash does not include
/// autostart, since changing it is no reason to restart.
fn link_fault(host: &Host, name: &MachineName, wanted: bool) -> Option<Error> {
    let how = if wanted { "is missing" } else { "is still there" };
    let link = start_link(host, name);
    let message = format!("{} {how} after daemon-reload; is the generator up to date?", link.display());
    (starts(host, name) != wanted).then(|| Failed::Program(message).into())
}

/// Restores the intents and links of those that have failed.
fn take_back(host: &Host, written: &mut [Written]) {
    let mut failed = written.iter_mut().filter(|one| one.fault.is_some()).peekable();
    if failed.peek().is_none() {
        return;
    }
    interrupt::clean_up_begins();
    let why = generator_fault(host).filter(|_| host.live());
    let why = why.map(|fault| format!("{fault}; ")).unwrap_or_default();
    for one in failed {
        let Some(old) = &one.old else { continue };
        let Some(fault) = one.fault.take() else { continue };
        put_back(&one.links);
        let name = &one.name;
        let what = match restore(host, name, old) {
            Ok(()) => format!("{why}the old setting of container '{name}' was restored"),
            Err(left) => {
                format!("the old setting of container '{name}' could not be restored ({left:#})")
            }
        };
        one.fault = Some(fault.context(what));
    }
    if host.live() {
        let _ = systemd::daemon_reload(host);
    }
    interrupt::clean_up_ends();
}

/// Restores the old intent. Writes nothing if it is still recorded, since the disk may be full.
fn restore(host: &Host, name: &MachineName, old: &str) -> Result<()> {
    if text(host, name)?.as_deref() == Some(old) { Ok(()) } else { write_text(host, name, old) }
}

/// Returns the generator's link that starts the container with the host.
fn start_link(host: &Host, name: &MachineName) -> PathBuf {
    host.root.join(GENERATOR_DIRECTORY).join("machines.target.wants").join(unit_name(name))
}

/// Returns whether PID 1 starts the container with the host.
fn starts(host: &Host, name: &MachineName) -> bool {
    start_link(host, name).symlink_metadata().is_ok()
}

/// Deletes links and adds them with their targets to `removed`.
fn remove_links(host: &Host, links: Vec<PathBuf>, removed: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    for link in links {
        let starts = || {
            format!("{}: starts the container with the host and cannot be removed", system_path(host, &link))
        };
        let target = fs::read_link(&link).with_context(starts)?;
        fs::remove_file(&link).with_context(starts)?;
        removed.push((link, target));
    }
    Ok(())
}

fn put_back(links: &[(PathBuf, PathBuf)]) {
    for (link, target) in links {
        // The first error is the one that matters.
        let _ = symlink(target, link);
    }
}
