//! `enable` and `disable`: the administrator's word on whether a container starts with the host, written into its
//! intent. systemd must show that it took it over; otherwise the old file is put back. Links that `systemctl enable`
//! made would have their own way, so `disable` deletes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan_one;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Kind};
use nixos_nspawn_units::write::write_durably;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::output::tell;
use crate::change::settle::{lock_settled, repair};
use crate::cli::Named;
use crate::fact::lookup::{imperative, machine_name};
use crate::fact::overview::generator_fault;
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::runtime_files::tidy;
use crate::host::unit_links::{enabled_links, masked, system_path};
use crate::host::{host_file, systemd};

/// `enable`.
pub(crate) fn enable(context: &Context, arguments: &Named) -> Result<()> {
    set(context, arguments, "enable", true)
}

/// `disable`.
pub(crate) fn disable(context: &Context, arguments: &Named) -> Result<()> {
    set(context, arguments, "disable", false)
}

fn set(context: &Context, arguments: &Named, command: &str, wanted: bool) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    context.need_root(command)?;
    if context.live() {
        context.need_systemd()?;
    }
    repair(context);
    tidy(context);
    let _lock = lock_settled(context, &name)?;
    let (changed, how) = change(context, &name, wanted)?;
    let set = Set { name: &name, autostart: wanted, changed, masked: masked(context, &name) };
    context.answer(&set, |_| format!("container '{name}' {how}\n"))?;
    if wanted && set.masked {
        let unit = unit_name(&name);
        tell(&format!(
            "{unit} is masked, so it does not start all the same; 'systemctl unmask {unit}' helps"
        ));
    }
    tidy(context);
    Ok(())
}

/// What was set, as scripts see it.
#[derive(Debug, Serialize)]
struct Set<'a> {
    name: &'a MachineName,
    /// Whether it starts with the host now.
    autostart: bool,
    /// Whether something was changed for that.
    changed: bool,
    /// Whether `systemctl mask` keeps it from starting all the same.
    masked: bool,
}

/// Makes the change; whether there was one, and what to say of it.
fn change(context: &Context, name: &MachineName, wanted: bool) -> Result<(bool, &'static str)> {
    let global = Lock::global(context)?;
    let loaded = context.load();
    let present = imperative(&loaded, name)?;
    let links = if wanted { Vec::new() } else { enabled_links(context, name) };
    let before = present.starts_at_boot() || !links.is_empty();
    if present.autostart == Some(wanted) && links.is_empty() {
        return Ok((
            false,
            match wanted {
                true => "starts with the host already, nothing changed",
                false => "does not start with the host, nothing changed",
            },
        ));
    }
    let intent = Intent { autostart: Some(wanted), ..present.clone() };
    let path = intent_path(context, name);
    let old = fs::read(&path).with_context(|| path.display().to_string())?;
    interrupt::check()?;
    let removed = remove_links(context, links)?;
    let made = write(context, name, intent.to_json()?.as_bytes());
    let made = made.and_then(|()| match context.live() {
        true => host_file::record(context, &host_file::load(context)?.host).map(|_| ()),
        false => Ok(()),
    });
    drop(global);
    let made = made.and_then(|()| match context.live() {
        true => take_effect(context, name, &intent, wanted),
        false => Ok(()),
    });
    if let Err(error) = made {
        interrupt::clean_up_begins();
        put_back(&removed);
        write(context, name, &old)?;
        if context.live() {
            let _ = systemd::daemon_reload(context);
        }
        let why = generator_fault(context)
            .filter(|_| context.live())
            .map(|fault| format!("{fault}; "))
            .unwrap_or_default();
        return Err(error.context(format!("{why}the old setting of container '{name}' was put back")));
    }
    for (link, _) in &removed {
        tell(&format!("removed {}, which 'systemctl enable' made", system_path(context, link)));
    }
    let how = match (wanted, before) {
        (true, false) => "now starts with the host",
        (true, true) => "goes on starting with the host, now whatever its own configuration says",
        (false, true) => "does not start with the host any more",
        (false, false) => "still does not start with the host, now whatever its own configuration says",
    };
    Ok((true, how))
}

fn write(context: &Context, name: &MachineName, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("{DIRECTORY}/{name}.json: cannot be written");
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, context.path(DIRECTORY), flags, Mode::empty()).with_context(cannot)?;
    write_durably(&directory, &format!("{name}.json"), bytes, Mode::from_raw_mode(0o644)).with_context(cannot)
}

/// daemon-reload, and the proof that PID 1 has the plan and its generator the link.
fn take_effect(context: &Context, name: &MachineName, intent: &Intent, wanted: bool) -> Result<()> {
    let plan = plan_one(name, Kind::Imperative, &format!("{DIRECTORY}/{name}.json"), intent);
    let hash = plan.containers.first().and_then(|planned| planned.hash.as_deref());
    if masked(context, name) {
        // Nothing is loaded of a masked unit, so PID 1 has no plan to show (systemd.unit(5)).
        systemd::daemon_reload(context)?;
    } else {
        systemd::reload_to(context, name, hash)?;
    }
    // The hash leaves autostart out: a change of it is no reason to restart.
    let link = Path::new("/").join(GENERATOR_DIRECTORY).join("machines.target.wants").join(unit_name(name));
    if link.symlink_metadata().is_ok() != wanted {
        let how = if wanted { "is missing" } else { "is still there" };
        let message = format!("{} {how} after daemon-reload; is the generator up to date?", link.display());
        return Err(Failed::Program(message).into());
    }
    Ok(())
}

/// Deletes links; gives them with their targets. If one stays, all are put back: the container would start all the same.
fn remove_links(context: &Context, links: Vec<PathBuf>) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut removed = Vec::new();
    for link in links {
        let target = fs::read_link(&link).unwrap_or_default();
        if let Err(error) = fs::remove_file(&link) {
            put_back(&removed);
            anyhow::bail!(
                "{}: starts the container with the host and cannot be removed: {error}, nothing was changed",
                system_path(context, &link)
            );
        }
        removed.push((link, target));
    }
    Ok(removed)
}

fn put_back(links: &[(PathBuf, PathBuf)]) {
    for (link, target) in links {
        // The error that led here is the one that matters.
        let _ = symlink(target, link);
    }
}
