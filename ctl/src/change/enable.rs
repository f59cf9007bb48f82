//! Sets whether a container starts with the host, in its intent. If systemd does not load the change, the old intent
//! is restored. Links of `systemctl enable` would override the setting, so disabling deletes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::settle;
use crate::change::tidy::tidy;
use crate::fact::installation::generator_fault;
use crate::fact::lookup::imperative;
use crate::host::intent_file::{hash, intent_path, text, write, write_text};
use crate::host::lock::Lock;
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

/// Sets whether a container starts with the host.
pub(crate) fn set(host: &Host, name: &MachineName, wanted: bool) -> Result<Setting> {
    tidy(host);
    let _lock = settle::lock(host, name)?;
    let setting = change(host, name, wanted)?;
    tidy(host);
    Ok(setting)
}

/// Returns what [`set`] would do.
pub(crate) fn would_set(host: &Host, name: &MachineName, wanted: bool) -> Result<Setting> {
    let loaded = host.load_one(name);
    let present = imperative(&loaded, name)?;
    let links = if wanted { Vec::new() } else { enabled_links(host, name)? };
    Ok(Setting {
        before: present.starts_at_boot() || !links.is_empty(),
        changed: present.autostart != Some(wanted) || !links.is_empty(),
        masked: masked(host, name),
    })
}

fn change(host: &Host, name: &MachineName, wanted: bool) -> Result<Setting> {
    let global = Lock::global(host)?;
    let loaded = host.load_one(name);
    let present = imperative(&loaded, name)?;
    let links = if wanted { Vec::new() } else { enabled_links(host, name)? };
    let before = present.starts_at_boot() || !links.is_empty();
    if present.autostart == Some(wanted) && links.is_empty() {
        if host.live() && starts(host, name) != wanted {
            // A killed command recorded the setting, but PID 1 has not loaded it yet.
            drop(global);
            take_effect(host, name, present, wanted)?;
        }
        return Ok(Setting { before, changed: false, masked: masked(host, name) });
    }
    let intent = Intent { autostart: Some(wanted), ..present.clone() };
    let path = intent_path(host, name);
    let old = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    interrupt::check()?;
    let mut removed = Vec::new();
    // The links are removed last, so that a command that is killed before leaves the container enabled.
    let made = write(host, name, &intent);
    let made = made.and_then(|()| remove_links(host, links, &mut removed));
    let made = made.and_then(|()| match host.live() {
        true => host_file::record(host, &host_file::facts(host)?).map(|_| ()),
        false => Ok(()),
    });
    drop(global);
    let made = made.and_then(|()| match host.live() {
        true => take_effect(host, name, &intent, wanted),
        false => Ok(()),
    });
    if let Err(error) = made {
        interrupt::clean_up_begins();
        put_back(&removed);
        if let Err(left) = restore(host, name, &old) {
            let what = format!("the old setting of container '{name}' could not be restored ({left:#})");
            return Err(error.context(what));
        }
        if host.live() {
            let _ = systemd::daemon_reload(host);
        }
        let why = generator_fault(host)
            .filter(|_| host.live())
            .map(|fault| format!("{fault}; "))
            .unwrap_or_default();
        return Err(error.context(format!("{why}the old setting of container '{name}' was restored")));
    }
    for (link, _) in &removed {
        host.report(Event::LinkRemoved { link: system_path(host, link) });
    }
    Ok(Setting { before, changed: true, masked: masked(host, name) })
}

/// Restores the old intent. Writes nothing if it is still recorded, since the disk may be full.
fn restore(host: &Host, name: &MachineName, old: &str) -> Result<()> {
    if text(host, name)?.as_deref() == Some(old) { Ok(()) } else { write_text(host, name, old) }
}

/// Reloads, and verifies that PID 1 has the plan and the generator's link is as wanted.
fn take_effect(host: &Host, name: &MachineName, intent: &Intent, wanted: bool) -> Result<()> {
    if masked(host, name) {
        // Nothing is loaded of a masked unit, so PID 1 has no plan to show (systemd.unit(5)).
        systemd::daemon_reload(host)?;
    } else {
        systemd::reload_to(host, name, hash(name, intent).as_deref())?;
    }
    // The hash does not include autostart, since changing it is no reason to restart.
    if starts(host, name) != wanted {
        let how = if wanted { "is missing" } else { "is still there" };
        let link = start_link(host, name);
        let message = format!("{} {how} after daemon-reload; is the generator up to date?", link.display());
        return Err(Failed::Program(message).into());
    }
    Ok(())
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
