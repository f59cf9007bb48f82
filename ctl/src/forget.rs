//! Taking a container away: a create that failed, a remove, and the repair of either after it was killed. Each step may
//! find its work done already, so the whole can be repeated until it succeeds. The state directory goes only where the
//! record says so.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::{self, GC_ROOTS};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Kind};
use rustix::fs::{CWD, Mode, OFlags, fsync, openat};

use crate::context::{Context, find};
use crate::exit::refuse;
use crate::lock::Lock;
use crate::record::{Phase, Record, Step, pending};
use crate::stop_point::stop_point;
use crate::{network, nix, output, pin, state, systemd};

/// The intent file of an imperative container.
pub(crate) fn intent_path(context: &Context, name: &MachineName) -> PathBuf {
    context.path(DIRECTORY).join(format!("{name}.json"))
}

/// Stops the container and takes away everything that the record's command made. What fails is tried by the next
/// command again, since the record then stays.
pub(crate) fn forget(context: &Context, record: &Record) -> Result<()> {
    let name = &record.name;
    // A declarative container of the same name is not ours to touch; only the file and the profile behind it go.
    let loaded = context.load();
    let ours = find(&loaded, name).is_none_or(|found| found.kind() == Kind::Imperative);
    if ours && context.live() && !systemd::state(context, name)?.stopped() {
        systemd::stop(context, name)?;
    }
    stop_point("remove-stopped");
    {
        let _global = Lock::global(context)?;
        remove_file(&intent_path(context, name))?;
        let directory =
            openat(CWD, context.path(DIRECTORY), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        fsync(&directory)?;
    }
    if ours && record.step == Step::Removing {
        for link in enabled_links(context, name) {
            remove_file(&link)?;
        }
    }
    if context.live() {
        if ours {
            systemd::reload_to(context, name, None)?;
            systemd::reset_failed(context, name);
        } else {
            systemd::daemon_reload(context)?;
        }
    }
    stop_point("remove-forgotten");
    nix::remove_profile(context, &record.details.profile_directory)?;
    remove_file(&context.path(Path::new("/").join(GC_ROOTS)).join(name.as_str()))?;
    pin::remove_all(context, name)?;
    if ours {
        copies::remove(&context.root, name).with_context(|| {
            format!("{}: cannot be removed", copies::copy_path(&context.root, name).display())
        })?;
        network::remove(context, name);
        remove_file(&copies::running_root(&context.root, name))?;
        if record.details.delete_state {
            state::delete(context, name)?;
        }
    }
    for source in &record.details.missing_sources {
        // Only what is still empty: a container that ran has put its data there.
        let _ = fs::remove_dir(context.path(source));
    }
    record.finish(context)
}

/// Settles what a killed command left of one container: taken back, accepted or finished, as its record says.
pub(crate) fn settle(context: &Context, record: &Record) -> Result<()> {
    let name = &record.name;
    match (record.step, record.details.phase) {
        (Step::Updating, _) if !context.live() => refuse(format!(
            "container '{name}' was left half updated, nothing was changed; the running system settles it"
        )),
        (Step::Updating, _) => crate::switch::settle(context, record),
        (Step::Creating, Phase::Started) => {
            output::tell(&format!(
                "container '{name}' was created by a command that was killed at its end, it stays"
            ));
            record.finish(context)
        }
        (Step::Creating, phase) => {
            output::tell(&format!(
                "container '{name}' was left half created by a killed command, taking it away"
            ));
            let mut record = record.clone();
            // What was started by us, or by a boot since, may hold data: it is not deleted behind anybody's back.
            let recorded = intent_path(context, name).symlink_metadata().is_ok();
            record.details.delete_state &= phase != Phase::Activating && !recorded;
            forget(context, &record)
        }
        (Step::Removing, _) => {
            output::tell(&format!(
                "container '{name}' was left half removed by a killed command, taking it away"
            ));
            forget(context, record)
        }
    }
}

/// The lock of a container, with nothing left half done behind it by a killed command.
pub(crate) fn lock_settled(context: &Context, name: &MachineName) -> Result<Lock> {
    let lock = Lock::container(context, name)?;
    for record in pending(context).into_iter().filter(|record| record.name == *name) {
        settle(context, &record)?;
    }
    Ok(lock)
}

/// Finishes what killed commands left, unless another command is at it. Needs the rights to do so.
pub(crate) fn repair(context: &Context) {
    for record in pending(context) {
        // One container's trouble is not another's: it is told, and the next command tries again.
        if let Err(error) = repair_one(context, &record) {
            output::tell(&format!("container '{}' is left half done: {error:#}", record.name));
        }
    }
}

fn repair_one(context: &Context, record: &Record) -> Result<()> {
    let Some(_lock) = Lock::container_if_free(context, &record.name)? else { return Ok(()) };
    // Between the listing and the lock the other command may have ended.
    match pending(context).into_iter().find(|other| other.name == record.name) {
        Some(record) => settle(context, &record),
        None => Ok(()),
    }
}

/// Links that `systemctl enable` made: they outlive everything else and would start the bare template.
pub(crate) fn enabled_links(context: &Context, name: &MachineName) -> Vec<PathBuf> {
    let unit = unit_name(name);
    let Ok(entries) = fs::read_dir(context.path("/etc/systemd/system")) else { return Vec::new() };
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| {
            extension == "wants" || extension == "requires" || extension == "upholds"
        })
    });
    let mut links: Vec<PathBuf> = folders
        .map(|folder| folder.join(&unit))
        .filter(|link| fs::symlink_metadata(link).is_ok_and(|metadata| metadata.is_symlink()))
        // A link to /dev/null is the administrator's off switch, not an enablement.
        .filter(|link| fs::read_link(link).is_ok_and(|target| target != Path::new("/dev/null")))
        .collect();
    links.sort();
    links
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
