//! Gives a container another name: its intent, profile, state, snapshots, garbage collector roots and links. A rename
//! that fails gives everything the old name again.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::intent::{Dependency, Intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Loaded;

use crate::base::exit::{Failed, unchanged, under};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::name_is_free::name_is_free;
use crate::change::next::{profile_folder, sources};
use crate::change::profile_steps::remove_pending;
use crate::change::rename_steps::{
    carry, clear_profile, not_started, own_profile, planned, sides, start, take_back,
};
use crate::change::{settle, snapshot};
use crate::fact::lookup::imperative;
use crate::fact::{dependents, installation};
use crate::host::files::is_there;
use crate::host::intent_file::{self, Conflicts};
use crate::host::mounts::mounts_below;
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::{host_file, imported, profile_links, snapshots, state_directory, systemd, unit_links};

/// The options of a rename.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RenameOptions {
    /// Whether a running container is stopped, and started with its new name.
    pub(crate) restart: bool,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// What a rename did, or would do.
#[derive(Debug, Clone)]
pub(crate) struct Renamed {
    /// What was renamed: the old and the new path.
    pub(crate) moved: Vec<(PathBuf, PathBuf)>,
    /// Whether the container was restarted.
    pub(crate) restarted: bool,
    /// What the administrator should know.
    pub(crate) notes: Vec<String>,
}

/// Renames a container.
pub(crate) fn rename(
    host: &Host,
    old: &MachineName,
    new: &MachineName,
    options: RenameOptions,
) -> Result<Renamed> {
    if old == new {
        return Err(Failed::Usage(format!("container '{old}' has that name already")).into());
    }
    if options.dry_run {
        return draft(host, old, new, options).map(|(_, renamed)| renamed);
    }
    if host.live() {
        installation::check(host)?;
    }
    let _locks = settle::lock_both(host, old, new)?;
    snapshot::keep(host, old)?;
    let (mut record, renamed) = draft(host, old, new, options)?;
    if !record.details.profile_directory.as_os_str().is_empty() {
        remove_pending(host, &record.details.profile_directory);
    }
    clear_profile(host, sides(&record)?.1.profile())?;
    record.save(host)?;
    failpoint("rename-begun");
    let done = sides(&record).and_then(|(from, to)| {
        interrupt::check()?;
        carry(host, &from, &to, false)
    });
    if let Err(error) = done {
        interrupt::clean_up_begins();
        let what = format!("container '{old}' was not renamed");
        return Err(match take_back(host, &mut record) {
            Ok(()) => under(error, &what, "it has its old name"),
            Err(left) => error.context(format!(
                "{what}, and could not be given its old name completely ({left:#}); the next command tries again"
            )),
        });
    }
    let started = sides(&record).and_then(|(_, to)| start(host, &record, &to));
    record.finish(host)?;
    started.map_err(|error| not_started(new, &error))?;
    Ok(renamed)
}

/// Checks a rename. Returns its record, which is not written, and what it will do.
fn draft(
    host: &Host,
    old: &MachineName,
    new: &MachineName,
    options: RenameOptions,
) -> Result<(Record, Renamed)> {
    let mut loaded = host_file::load(host)?;
    let present = imperative(&loaded, old)?.clone();
    name_is_free(host, &loaded, new, None)?;
    if let Some(note) = imported::note_of(host, old)? {
        return unchanged(
            format!("container '{old}' was imported, and can be given back under this name only"),
            format!("'rm {}' gives that up", note.display()),
        );
    }
    let folder = profile_folder(host, old, &present);
    let profile = own_profile(&folder, old);
    places_are_free(host, old, new, &profile)?;
    let runs = host.live() && !systemd::state(host, old)?.stopped();
    if runs && !options.restart {
        return unchanged(
            format!("container '{old}' is running"),
            format!("'nixos-nspawn stop {old}' stops it, or --restart restarts it with its new name"),
        );
    }
    if host.live() {
        stops_nothing_else(host, &loaded, old)?;
    }
    let mut intent = Intent { name: Some(new.clone()), ..present.clone() };
    if !profile.as_os_str().is_empty() && intent.profile.is_some() {
        let system = profile.with_file_name(new.as_str()).join("system");
        intent.profile = Some(system.to_string_lossy().parse()?);
    }
    let applied = intent.source.as_mut().is_some_and(|source| std::mem::take(&mut source.applied));
    let notes = notes(host, &loaded, old, new, &present, applied);
    loaded.intents.retain(|stored| stored.name != *old);
    intent_file::check(&loaded, new, &intent, Conflicts::Refused)?;
    let details = RecordDetails {
        profile_directory: profile,
        to: Some(new.clone()),
        old_intent: intent_file::existing_text(host, old)?,
        new_intent: intent.to_json()?,
        ran: runs,
        ..RecordDetails::default()
    };
    let record = Record::draft(old, Begun::Renaming, details);
    let moved = planned(host, &record)?;
    let profile = sides(&record)?.1.profile().to_owned();
    for (_, to) in &moved {
        if is_there(to)? && *to != host.path(&profile) {
            return unchanged(
                format!("{}: already exists", to.display()),
                "move it away, or use another name",
            );
        }
    }
    Ok((record, Renamed { moved, restarted: runs, notes }))
}

/// Refuses while something runs that requires the container: it would stop, and cannot start without the old name.
fn stops_nothing_else(host: &Host, loaded: &Loaded, old: &MachineName) -> Result<()> {
    for other in dependents::requiring(loaded, old) {
        if !systemd::state(host, &other)?.stopped() {
            return unchanged(
                format!("container '{other}' is running and requires '{old}', so it would stop"),
                format!("'nixos-nspawn stop {other}' stops it"),
            );
        }
    }
    // Others may require it by drop-ins, or by another container.
    if let Some(unit) = dependents::running(host, old)?.first() {
        return unchanged(
            format!("{unit} is running and requires container '{old}', so it would stop"),
            format!("'systemctl stop {unit}' stops it"),
        );
    }
    Ok(())
}

/// Refuses a new name under which something exists, and state that cannot be renamed.
pub(super) fn places_are_free(
    host: &Host,
    old: &MachineName,
    new: &MachineName,
    profile: &Path,
) -> Result<()> {
    let state = state_directory::directory(host, old);
    state_is_free(host, new)?;
    if !profile.as_os_str().is_empty() {
        let directory = profile.with_file_name(new.as_str());
        if !profile_links::is_adoptable(host, &directory)? {
            let folder = directory.display();
            return unchanged(
                format!("{folder}: already exists, but belongs to no container"),
                format!("move it away, or 'rm -r {folder}'"),
            );
        }
    }
    // A link is renamed, not what it leads to.
    if !state.is_symlink() {
        if let Some(mount) = mounts_below(&state)?.first() {
            return unchanged(
                format!("{}: is a mount point in the container's state", mount.display()),
                "unmount it, and change where it is mounted",
            );
        }
    }
    Ok(())
}

/// Refuses a name under which there is state.
pub(super) fn state_is_free(host: &Host, new: &MachineName) -> Result<()> {
    let image = host.machines().join(format!("{new}.raw"));
    for place in [state_directory::directory(host, new), image, snapshots::directory(host, new)] {
        if is_there(&place)? {
            return unchanged(
                format!("{}: already exists", place.display()),
                "move it away, or use another name",
            );
        }
    }
    Ok(())
}

/// Returns what else has or uses the old name.
fn notes(
    host: &Host,
    loaded: &Loaded,
    old: &MachineName,
    new: &MachineName,
    present: &Intent,
    applied: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    for other in dependents::requiring(loaded, old) {
        notes.push(format!(
            "container '{other}' requires '{old}' and cannot start without it; let it require '{new}'"
        ));
    }
    let state = state_directory::directory(host, old);
    for stored in loaded.intents.iter().filter(|stored| stored.name != *old) {
        let other = &stored.name;
        let named = |all: &[Dependency]| all.iter().any(|one| one.container() == Some(old.as_str()));
        let container = &stored.intent.container;
        if named(&container.after) || named(&container.wants) {
            notes.push(format!("container '{other}' names '{old}' in after or wants; let it name '{new}'"));
        }
        if sources(&stored.intent).iter().any(|source| host.path(source).starts_with(&state)) {
            notes.push(format!("container '{other}' mounts a part of {}, which moves", state.display()));
        }
    }
    if present.container.hostname.is_none() {
        let zone = present.container.zone.as_ref();
        let by =
            zone.map(|zone| format!(", by which others in zone '{zone}' may call it")).unwrap_or_default();
        notes.push(format!("its host name changes to '{new}'{by}"));
    }
    let (before, after) = (present.container.host_interface(old), present.container.host_interface(new));
    if let (Some(before), Some(after)) = (before, after) {
        if before != after {
            notes.push(format!(
                "its interface on the host changes from '{before}' to '{after}', which a firewall may name"
            ));
        }
    }
    let drop_ins = host.unit_links().join(unit_name(old) + ".d");
    if drop_ins.exists() {
        notes.push(format!("the drop-ins in {} stay where they are", drop_ins.display()));
    }
    if applied {
        notes.push(format!("it is no longer changed by 'apply', which may create '{old}' again"));
    }
    if host.live() && unit_links::masked(host, old) {
        notes.push(format!("its unit is masked, which '{new}' will not be"));
    }
    notes
}
