//! The steps of a rename, in either direction. Each may find its work already done. Nothing is recorded while the parts
//! have different names, so that no boot starts a container with half of them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::{Failed, refuse};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::effect;
use crate::change::effect::StartLimit;
use crate::change::load::load;
use crate::change::next::limit_or_start;
use crate::decision::settlement::{IntentSeen, RenameObserved, RenameSettlement, rename};
use crate::host::files::{is_there, remove_file, rename_new, sync_directory};
use crate::host::intent_file::{hash, intent_path, text, write_text};
use crate::host::lock::Lock;
use crate::host::record::{Phase, Record};
use crate::host::unit_links::{enabled_links, renamed_link};
use crate::host::{
    gc_roots, host_file, profile_links, runtime_files, snapshots, sockets, state_directory, systemd,
};

/// What a container is called, before or after.
pub(crate) struct Side<'a> {
    name: &'a MachineName,
    /// The text of its intent.
    intent: &'a str,
    /// The directory of its profile; empty if that keeps its name.
    profile: PathBuf,
}

impl Side<'_> {
    /// Returns the directory of its profile, or an empty path if that keeps its name.
    pub(crate) fn profile(&self) -> &Path {
        &self.profile
    }
}

/// Returns both sides of a rename: the old one first.
pub(crate) fn sides<'a>(record: &'a Record) -> Result<(Side<'a>, Side<'a>)> {
    let details = &record.details;
    let Some(to) = &details.to else {
        return refuse(format!("the record of the rename of '{}' has no new name", record.name));
    };
    let profile = details.profile_directory.clone();
    let other =
        if profile.as_os_str().is_empty() { PathBuf::new() } else { profile.with_file_name(to.as_str()) };
    Ok((
        Side { name: &record.name, intent: &details.old_intent, profile },
        Side { name: to, intent: &details.new_intent, profile: other },
    ))
}

/// Gives everything of a container the other name, or back the old one.
pub(crate) fn carry(host: &Host, from: &Side, to: &Side, back: bool) -> Result<()> {
    if host.live() {
        // Sockets are closed first, or a connection would start the container again.
        sockets::close(host, from.name)?;
        systemd::stop(host, from.name)?;
    }
    failpoint("rename-stopped");
    {
        let _global = Lock::global(host)?;
        if text(host, from.name)?.as_deref() == Some(from.intent) {
            remove_file(&intent_path(host, from.name))?;
            sync_directory(&host.intents())?;
        }
    }
    if host.live() {
        systemd::daemon_reload(host)?;
        systemd::reset_failed(host, &[from.name]);
    }
    failpoint("rename-forgotten");
    for (index, (old, new)) in moves(host, from, to)?.iter().enumerate() {
        let _unused = match index == 0 && is_there(old)? {
            true => Some(state_directory::reserve(host, from.name)?),
            false => None,
        };
        move_path(old, new, back)?;
        failpoint(["rename-state", "rename-snapshots", "rename-profile", "rename-roots"][index.min(3)]);
    }
    state_directory::remove_lock(host, from.name)?;
    write(host, to)?;
    failpoint("rename-recorded");
    if let Ok(intent) = parse(to.intent.as_bytes(), to.name) {
        load(host, to.name, &intent)?;
    }
    if text(host, from.name)?.is_none() {
        runtime_files::remove_all(host, from.name)?;
    }
    failpoint("rename-done");
    Ok(())
}

/// Writes the intent, unless somebody else has.
fn write(host: &Host, to: &Side) -> Result<()> {
    let _global = Lock::global(host)?;
    match text(host, to.name)? {
        Some(found) if found == to.intent => {}
        Some(_) => {
            return refuse(format!(
                "{}: was written by somebody else meanwhile",
                intent_path(host, to.name).display()
            ));
        }
        None => write_text(host, to.name, to.intent)?,
    }
    if host.live() {
        host_file::record(host, &host_file::facts(host)?)?;
    }
    Ok(())
}

/// Returns what is renamed, the state first.
fn moves(host: &Host, from: &Side, to: &Side) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut moves = vec![
        (state_directory::directory(host, from.name), state_directory::directory(host, to.name)),
        (snapshots::directory(host, from.name), snapshots::directory(host, to.name)),
    ];
    if !from.profile.as_os_str().is_empty() {
        moves.push((host.path(&from.profile), host.path(&to.profile)));
    }
    moves.extend(gc_roots::renamed(host, from.name, to.name)?);
    for link in enabled_links(host, from.name)? {
        let new = renamed_link(&link, to.name);
        moves.push((link, new));
    }
    Ok(moves)
}

/// Returns what a rename moves, of what is there.
pub(crate) fn planned(host: &Host, record: &Record) -> Result<Vec<(PathBuf, PathBuf)>> {
    let (old, new) = sides(record)?;
    let mut moves = vec![(intent_path(host, old.name), intent_path(host, new.name))];
    for (from, to) in self::moves(host, &old, &new)? {
        if is_there(&from)? {
            moves.push((from, to));
        }
    }
    Ok(moves)
}

/// Renames a path, durably, unless that is done. Never replaces anything. If both exist on the way back, this one never
/// had the other name, and the other one is not the container's.
fn move_path(from: &Path, to: &Path, back: bool) -> Result<()> {
    if !is_there(from)? || back && is_there(to)? {
        return Ok(());
    }
    let cannot = || format!("{}: cannot be renamed to {}", from.display(), to.display());
    let taken =
        || refuse(format!("{}: is in the way of {}; move one of them away", to.display(), from.display()));
    match rename_new(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return taken(),
        Err(error) => return Err(error).with_context(cannot),
    }
    to.parent().map_or(Ok(()), sync_directory)
}

/// Completes or reverts a rename that was killed.
pub(crate) fn settle(host: &Host, record: &Record) -> Result<()> {
    let (old, new) = sides(record)?;
    let (name, to) = (old.name.clone(), new.name.clone());
    let seen = |side: &Side| -> Result<IntentSeen> {
        Ok(match text(host, side.name)? {
            None => IntentSeen::Absent,
            Some(found) if found == side.intent => IntentSeen::Own,
            Some(_) => IntentSeen::Foreign,
        })
    };
    let mut moved = false;
    // After them come links that either name may have had before.
    for (from, to) in moves(host, &old, &new)?.iter().take(3) {
        moved |= !is_there(from)? && is_there(to)?;
    }
    let returning = record.details.phase == Phase::Returning;
    match rename(RenameObserved { returning, moved, old: seen(&old)?, new: seen(&new)? }) {
        RenameSettlement::KeepEdit => {
            host.report(Event::EditKept { name });
            record.finish(host)
        }
        RenameSettlement::Complete => {
            host.report(Event::RenameFinished { name: name.clone(), to });
            if let Err(error) = carry(host, &old, &new, false) {
                interrupt::check()?;
                host.report(Event::Note { name, text: format!("it keeps its name: {error:#}") });
                return take_back(host, &mut record.clone());
            }
            let started = start(host, record, &new);
            record.finish(host)?;
            told(host, new.name, started)
        }
        RenameSettlement::TakeBack => {
            host.report(Event::RenameTakenBack { name, to });
            take_back(host, &mut record.clone())
        }
    }
}

/// Gives everything the old name again, and starts the container if it was stopped.
pub(crate) fn take_back(host: &Host, record: &mut Record) -> Result<()> {
    record.details.phase = Phase::Returning;
    record.save(host)?;
    let (old, new) = sides(record)?;
    carry(host, &new, &old, true)?;
    let started = start(host, record, &old);
    record.finish(host)?;
    told(host, old.name, started)
}

/// Starts the container if it ran before.
pub(crate) fn start(host: &Host, record: &Record, side: &Side) -> Result<()> {
    let Ok(intent) = parse(side.intent.as_bytes(), side.name) else { return Ok(()) };
    if !host.live() || !record.details.ran || systemd::state(host, side.name)?.active == "active" {
        return Ok(());
    }
    let limit = StartLimit::systemd(limit_or_start(None, &intent));
    effect::start(host, side.name, hash(side.name, &intent).as_deref(), limit)
}

/// Reports a failed start, which does not undo the rename.
fn told(host: &Host, name: &MachineName, started: Result<()>) -> Result<()> {
    if let Err(error) = started {
        interrupt::check()?;
        host.report(Event::Note { name: name.clone(), text: format!("does not start: {error:#}") });
    }
    Ok(())
}

/// Returns the error of a rename whose container does not start.
pub(crate) fn not_started(new: &MachineName, error: &anyhow::Error) -> anyhow::Error {
    Failed::Program(format!("container '{new}' has its new name, but does not start: {error:#}")).into()
}

/// Returns the profile's directory if it is named like the container, and so gets the new name.
pub(crate) fn own_profile(folder: &Path, name: &MachineName) -> PathBuf {
    match crate::host::update_memory::is_named_like(folder, name) {
        true => folder.to_owned(),
        false => PathBuf::new(),
    }
}

/// Prepares the directory that the profile is renamed to: it may hold notes of an earlier container.
pub(crate) fn clear_profile(host: &Host, directory: &Path) -> Result<()> {
    if directory.as_os_str().is_empty() || !is_there(&host.directory(directory))? {
        return Ok(());
    }
    if !profile_links::is_adoptable(host, directory)? {
        let folder = directory.display();
        return crate::base::exit::unchanged(
            format!("{folder}: already exists, but belongs to no container"),
            format!("move it away, or 'rm -r {folder}'"),
        );
    }
    profile_links::remove_profile(host, directory)
}
