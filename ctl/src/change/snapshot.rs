//! Snapshots of a container's state: makes them before updates, exchanges the state for a copy of one, and deletes them
//! with their generations. Each step is recorded before it is done, and undone or completed if it was killed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::base::event::Event;
use crate::base::exit::{Failed, refuse, unchanged};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::change::snapshot_steps::{delete, edit, hold, is_exchanged, keep_copy, limit, new};
use crate::fact::generations::{Generation, generations};
use crate::host::files::{is_there, sync_directory};
use crate::host::mounts::mounts_below;
use crate::host::profile_links::profile_link;
use crate::host::snapshots::{Snapshot, Unfinished, change, directory, path, read};
use crate::host::subvolume::{Btrfs, is_subvolume, not_btrfs};
use crate::host::{profile_links, state_directory};

/// Refuses a container whose configuration asks for snapshots that cannot be made.
pub(crate) fn check(host: &Host, name: &MachineName, intent: &Intent) -> Result<()> {
    if !intent.container.activation.snapshot {
        return Ok(());
    }
    if intent.container.ephemeral {
        let why = format!("container '{name}' is ephemeral, so it has no state for activation.snapshot");
        return unchanged(why, "leave out one of the two");
    }
    possible(host, name)
}

/// Refuses state that cannot be exchanged for another, or of which no snapshot can be made.
pub(crate) fn possible(host: &Host, name: &MachineName) -> Result<()> {
    let state = state_directory::directory(host, name);
    let refuse = |path: &Path, why: &str, remedy: &str| {
        unchanged(format!("{}: {why}, so no snapshots of it can be made", path.display()), remedy)
    };
    let without = "leave out activation.snapshot";
    if state.is_symlink() {
        return refuse(&state, "is a link", without);
    }
    let there = is_there(&state)?;
    // It will be created in the nearest directory that exists.
    let on = state.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    if let Some(why) = not_btrfs(on)? {
        return refuse(on, &why, without);
    }
    Btrfs::find(host)?;
    if !there {
        return Ok(());
    }
    if !is_subvolume(&state) {
        return refuse(
            &state,
            "is a directory, not a subvolume",
            "nixos-nspawn-ctl(8) describes how to make it one",
        );
    }
    match mounts_below(&state)?.first() {
        Some(mount) => refuse(mount, "is a mount point in the container's state", "unmount it"),
        None => Ok(()),
    }
}

/// Makes a read-only snapshot of a stopped container's state and keeps it with the generation of this intent. Returns
/// its path. Closes the container's sockets.
pub(crate) fn take(host: &Host, name: &MachineName, of: &Intent) -> Result<PathBuf> {
    keep(host, name)?;
    let btrfs = Btrfs::find(host)?;
    let state = state_directory::directory(host, name);
    let held = hold(host, name)?;
    let Some(source) = btrfs.show(&state)? else {
        return Err(Failed::refused(format!("{}: is not a subvolume", state.display())).into());
    };
    let snapshot = Snapshot { unfinished: Some(Unfinished::Making(source.uuid)), ..new(host, name, of)? };
    let place = path(host, name, &snapshot);
    let directory = snapshot.directory.clone();
    change(host, name, |all| all.push(snapshot))?;
    failpoint("snapshot-recorded");
    btrfs.snapshot(&state, &place)?;
    failpoint("snapshot-made");
    btrfs.set_read_only(&place, true)?;
    drop(held);
    let made = btrfs.show(&place)?.map(|made| made.uuid);
    edit(host, name, &directory, |one| (one.uuid, one.unfinished) = (made, None))?;
    failpoint("snapshot-kept");
    limit(host, &btrfs, name, &directory)?;
    Ok(place)
}

/// Returns the newest snapshot of a generation, other than copies that a rollback has left.
pub(crate) fn newest(host: &Host, name: &MachineName, generation: &Generation) -> Result<Option<Snapshot>> {
    let complete = |one: &Snapshot| one.unfinished.is_none() && !one.put_back && generation.has(one);
    Ok(read(host, name)?.into_iter().rev().find(complete))
}

/// Replaces the state of a stopped container by a copy of a snapshot. The state stays as a snapshot of the generation of
/// this intent, once [`keep`] is called; [`undo`] puts it back. Returns its path.
pub(crate) fn restore(host: &Host, name: &MachineName, of: &Intent, from: &Snapshot) -> Result<PathBuf> {
    keep(host, name)?;
    let btrfs = Btrfs::find(host)?;
    let state = state_directory::directory(host, name);
    let source = path(host, name, from);
    let (Some(now), Some(found)) = (btrfs.show(&state)?, btrfs.show(&source)?) else {
        let why = format!("{} or {}: is not a subvolume", state.display(), source.display());
        return Err(Failed::refused(why).into());
    };
    if from.uuid.as_ref() != Some(&found.uuid) {
        let why = format!("{}: is not the snapshot that was recorded", source.display());
        return Err(Failed::refused(why).into());
    }
    let unfinished = Some(Unfinished::Exchanging(found.uuid));
    let kept = Snapshot { uuid: Some(now.uuid), unfinished, ..new(host, name, of)? };
    let place = path(host, name, &kept);
    change(host, name, |all| all.push(kept))?;
    failpoint("exchange-recorded");
    btrfs.snapshot(&source, &place)?;
    failpoint("exchange-copied");
    exchange(host, name, &place)?;
    failpoint("exchanged");
    Ok(place)
}

/// Exchanges the state for another subvolume, which no start can see halfway.
fn exchange(host: &Host, name: &MachineName, other: &Path) -> Result<()> {
    let _held = hold(host, name)?;
    let state = state_directory::directory(host, name);
    renameat_with(CWD, &state, CWD, other, RenameFlags::EXCHANGE)
        .with_context(|| format!("{} and {}: cannot be exchanged", state.display(), other.display()))?;
    sync_directory(&directory(host, name))?;
    sync_directory(&host.machines())
}

/// Returns whether the state was exchanged for a copy of a snapshot, which is not accepted yet.
pub(crate) fn exchanged(host: &Host, name: &MachineName) -> Result<bool> {
    for one in read(host, name)? {
        if is_exchanged(host, name, &one)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Settles what was begun, and puts the state back if it was exchanged. The container must be stopped then. It may have
/// run on the copy, so that stays as a snapshot.
pub(crate) fn undo(host: &Host, name: &MachineName) -> Result<()> {
    for one in read(host, name)? {
        let Some(Unfinished::Exchanging(source) | Unfinished::PuttingBack(source)) = &one.unfinished else {
            continue;
        };
        if is_exchanged(host, name, &one)? {
            let place = path(host, name, &one);
            let putting = Some(Unfinished::PuttingBack(source.clone()));
            edit(host, name, &one.directory, |one| one.unfinished = putting)?;
            failpoint("putting-back");
            // A subvolume that is read-only cannot be renamed.
            let btrfs = Btrfs::find(host)?;
            if btrfs.show(&place)?.is_some_and(|there| there.read_only) {
                btrfs.set_read_only(&place, false)?;
            }
            exchange(host, name, &place)?;
            failpoint("exchanged-back");
        }
    }
    keep(host, name)
}

/// Settles what was begun, except deletions. If the state was exchanged, it stays so, and the earlier one is a snapshot
/// from now on.
pub(crate) fn keep(host: &Host, name: &MachineName) -> Result<()> {
    for one in read(host, name)? {
        let place = path(host, name, &one);
        match &one.unfinished {
            // A deletion can wait for the next one.
            None | Some(Unfinished::Deleting) => {}
            Some(_) if is_exchanged(host, name, &one)? => {
                Btrfs::find(host)?.set_read_only(&place, true)?;
                edit(host, name, &one.directory, |one| one.unfinished = None)?;
            }
            Some(Unfinished::PuttingBack(source)) => keep_copy(host, name, &one, source)?,
            Some(Unfinished::Making(source) | Unfinished::Exchanging(source)) => {
                let btrfs = Btrfs::find(host)?;
                // Nothing but a snapshot of that subvolume was to be made there.
                let made = btrfs.show(&place)?.filter(|made| made.parent.as_ref() == Some(source));
                if made.is_some() {
                    btrfs.delete(&place)?;
                }
                change(host, name, |all| all.retain(|other| other.directory != one.directory))?;
            }
        }
    }
    Ok(())
}

/// Like [`keep`], after which nothing is taken back: a failure is reported, and the next command calls [`keep`].
pub(crate) fn keep_at_last(host: &Host, name: &MachineName) {
    if let Err(error) = keep(host, name) {
        let text =
            format!("a snapshot of its state is not complete; the next update completes it: {error:#}");
        host.report(Event::Note { name: name.clone(), text });
    }
}

/// Deletes the snapshots of generations that no longer exist.
pub(crate) fn prune(host: &Host, name: &MachineName, intent: &Intent) -> Result<()> {
    if read(host, name)?.is_empty() {
        return Ok(());
    }
    keep(host, name)?;
    let there = generations(host, name, intent)?;
    let all = read(host, name)?;
    let gone =
        |one: &Snapshot| one.generation.is_some() && !there.iter().any(|generation| generation.has(one));
    let (due, gone): (Vec<&Snapshot>, Vec<&Snapshot>) = all
        .iter()
        .filter(|one| one.unfinished == Some(Unfinished::Deleting) || gone(one))
        .partition(|one| one.unfinished == Some(Unfinished::Deleting));
    let delete = |one: &Snapshot| delete(host, &Btrfs::find(host)?, name, one);
    due.into_iter().try_for_each(delete)?;
    // The current one always has a link, unless the whole directory is missing.
    let link = profile_link(host, name, intent);
    let current = intent.generation.or_else(|| profile_links::generation(&host.path(&link)).ok());
    let whole = there.iter().any(|one| Some(one.number) == current && one.made.is_some());
    if !gone.is_empty() && !whole {
        let link = link.display();
        return refuse(format!(
            "{link}: the current generation is missing, so no snapshots are deleted; restore it"
        ));
    }
    gone.into_iter().try_for_each(delete)
}

/// Deletes all snapshots of a container.
pub(crate) fn delete_all(host: &Host, name: &MachineName) -> Result<()> {
    keep(host, name)?;
    let all = read(host, name)?;
    if all.is_empty() {
        return Ok(());
    }
    let btrfs = Btrfs::find(host)?;
    all.iter().try_for_each(|one| delete(host, &btrfs, name, one))
}

/// Keeps the snapshots of a container whose generations are deleted with it.
pub(crate) fn unbind(host: &Host, name: &MachineName) -> Result<()> {
    keep(host, name)?;
    change(host, name, |all| all.iter_mut().for_each(|one| (one.generation, one.profile) = (None, None)))
}
