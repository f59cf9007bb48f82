//! The single steps of snapshots, for snapshot.rs.

use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::{Failed, refuse};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::time;
use crate::fact::generations::{current, generations};
use crate::host::files::is_there;
use crate::host::snapshots::{Snapshot, Unfinished, change, path, read};
use crate::host::state_directory::Reserved;
use crate::host::subvolume::Btrfs;
use crate::host::{sockets, state_directory, systemd};

/// How many snapshots of one generation are kept: an update that fails leaves one of the same generation.
const OF_ONE_GENERATION: usize = 3;

/// Keeps a stopped container from being started, or fails if it was.
pub(super) fn hold(host: &Host, name: &MachineName) -> Result<Reserved> {
    // A connection would start the container.
    sockets::close(host, name)?;
    let reserved = state_directory::reserve(host, name)?;
    if !systemd::state(host, name)?.stopped() {
        return refuse(format!("container '{name}' was started meanwhile"));
    }
    Ok(reserved)
}

/// Returns whether the state was exchanged for a copy, and the entry is of the earlier one.
pub(super) fn is_exchanged(host: &Host, name: &MachineName, one: &Snapshot) -> Result<bool> {
    if !matches!(one.unfinished, Some(Unfinished::Exchanging(_) | Unfinished::PuttingBack(_))) {
        return Ok(false);
    }
    let there = Btrfs::find(host)?.show(&path(host, name, one))?;
    Ok(there.is_some_and(|there| one.uuid.as_ref() == Some(&there.uuid)))
}

/// Keeps the copy that was the state until the earlier one was put back, with the generation of the snapshot that it is
/// a copy of.
pub(super) fn keep_copy(host: &Host, name: &MachineName, one: &Snapshot, source: &String) -> Result<()> {
    let btrfs = Btrfs::find(host)?;
    let place = path(host, name, one);
    let Some(copy) = btrfs.show(&place)?.filter(|copy| copy.parent.as_ref() == Some(source)) else {
        return change(host, name, |all| all.retain(|other| other.directory != one.directory));
    };
    btrfs.set_read_only(&place, true)?;
    let all = read(host, name)?;
    let of = all.iter().find(|other| other.uuid.as_ref() == Some(source));
    let (generation, profile) = of.map_or((None, None), |of| (of.generation, of.profile.clone()));
    edit(host, name, &one.directory, |one| {
        *one = Snapshot {
            generation,
            profile,
            uuid: Some(copy.uuid),
            put_back: true,
            unfinished: None,
            ..one.clone()
        };
    })?;
    let text = format!("the state that is no longer used is kept in {}", place.display());
    host.report(Event::Note { name: name.clone(), text });
    limit(host, &btrfs, name, &one.directory)
}

/// Deletes the oldest snapshots, if there are too many of the same generation and kind as this one.
pub(super) fn limit(host: &Host, btrfs: &Btrfs, name: &MachineName, directory: &str) -> Result<()> {
    let all = read(host, name)?;
    let Some(last) = all.iter().find(|one| one.directory == directory) else { return Ok(()) };
    // Those that `remove` has left are of no generation.
    if last.generation.is_none() {
        return Ok(());
    }
    let same = |one: &&Snapshot| {
        (one.generation, one.put_back) == (last.generation, last.put_back)
            && one.profile == last.profile
            && one.unfinished.is_none()
    };
    let of_it: Vec<&Snapshot> = all.iter().filter(same).collect();
    let too_many = of_it.len().saturating_sub(OF_ONE_GENERATION);
    let due = all.iter().filter(|one| one.unfinished == Some(Unfinished::Deleting));
    for old in of_it.into_iter().take(too_many).chain(due) {
        // Something may use it. The container must not stay down because of that.
        if let Err(error) = delete(host, btrfs, name, old) {
            let text = format!("an old snapshot stays, the next update tries again: {error:#}");
            host.report(Event::Note { name: name.clone(), text });
        }
    }
    Ok(())
}

/// Deletes a snapshot, if it still is the subvolume that was recorded.
pub(super) fn delete(host: &Host, btrfs: &Btrfs, name: &MachineName, one: &Snapshot) -> Result<()> {
    let place = path(host, name, one);
    edit(host, name, &one.directory, |one| one.unfinished = Some(Unfinished::Deleting))?;
    failpoint("snapshot-deleting");
    match btrfs.show(&place)? {
        Some(there) if one.uuid.as_ref() == Some(&there.uuid) => btrfs.delete(&place)?,
        None if !is_there(&place)? => {}
        _ => {
            let text = format!("{}: is not the snapshot that was recorded, so it stays", place.display());
            host.report(Event::Note { name: name.clone(), text });
        }
    }
    change(host, name, |all| all.retain(|other| other.directory != one.directory))
}

/// Changes the entry of a snapshot.
pub(super) fn edit(
    host: &Host,
    name: &MachineName,
    directory: &str,
    edit: impl FnOnce(&mut Snapshot),
) -> Result<()> {
    change(host, name, |all| {
        if let Some(one) = all.iter_mut().find(|one| one.directory == directory) {
            edit(one);
        }
    })
}

/// Returns the entry of a snapshot that is to be made, of the generation of this intent.
pub(super) fn new(host: &Host, name: &MachineName, of: &Intent) -> Result<Snapshot> {
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let all = generations(host, name, of)?;
    let current = current(&all);
    let snapshot = Snapshot {
        directory: format!("{}-{}", of.generation.unwrap_or(0), since.as_micros()),
        generation: of.generation,
        profile: current.map(|one| one.path.clone()),
        time: time::utc(now),
        uuid: None,
        put_back: false,
        unfinished: None,
    };
    let place = path(host, name, &snapshot);
    if is_there(&place)? {
        return Err(Failed::refused(format!("{}: already exists", place.display())).into());
    }
    Ok(snapshot)
}
