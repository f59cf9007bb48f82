//! Deletes a container's state directory. It is renamed first, so that an interrupted deletion never leaves half a
//! root under the container's name.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::fs::{DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{
    AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, ResolveFlags, fcntl_lock, fstat, openat, renameat,
    unlinkat,
};
use rustix::io::Errno;

use crate::base::exit::{refuse, unchanged};
use crate::base::host::Host;
use crate::host::files::{is_there, open_directory, sync_directory};
use crate::host::mounts::mounts_below;
use crate::host::record::{FileId, StateClaim};
use crate::host::remove_tree::{clear_flags, remove_tree};
use crate::host::subvolume::Btrfs;

/// Returns the root directory of a container.
pub(crate) fn directory(host: &Host, name: &MachineName) -> PathBuf {
    host.machines().join(name.as_str())
}

/// Refuses what [`delete`] could not do, before anything is changed.
pub(crate) fn check(host: &Host, name: &MachineName) -> Result<()> {
    let path = directory(host, name);
    let Ok(metadata) = fs::symlink_metadata(&path) else { return Ok(()) };
    if metadata.is_symlink() {
        let target = fs::read_link(&path).unwrap_or_default();
        return unchanged(
            format!("{}: is a link to {}", path.display(), target.display()),
            "delete its target yourself, or leave out --delete-state",
        );
    }
    if let Some(mount) = mounts_below(&path)?.first() {
        return unchanged(
            format!("{}: is a mount point in the container's state", mount.display()),
            "unmount it first",
        );
    }
    Ok(())
}

/// Creates the root directory of a container, or returns `None` if it exists. Only whoever created it may remove it.
pub(crate) fn make(host: &Host, name: &MachineName) -> Result<Option<FileId>> {
    let path = directory(host, name);
    let cannot = || format!("{}: cannot be created", path.display());
    make_parent(host).with_context(cannot)?;
    match DirBuilder::new().mode(0o755).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error).with_context(cannot),
    }
    sync_directory(&host.machines())?;
    Ok(Some(id(&fs::symlink_metadata(&path).with_context(cannot)?)))
}

/// Creates the directory of all roots if it does not exist.
pub(crate) fn make_parent(host: &Host) -> Result<()> {
    // The mode is that of systemd's tmpfiles.d/systemd-nspawn.conf.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(host.machines());
    made.with_context(|| format!("{}: cannot be created", host.machines().display()))
}

/// Returns the identity of a directory.
pub(crate) fn identity(path: &Path) -> Result<FileId> {
    Ok(id(&fs::symlink_metadata(path).with_context(|| path.display().to_string())?))
}

/// Like [`make`], as a btrfs subvolume. Returns its UUID.
pub(crate) fn make_subvolume(host: &Host, name: &MachineName) -> Result<Option<String>> {
    let path = directory(host, name);
    if exists(host, name) {
        return Ok(None);
    }
    let btrfs = Btrfs::find(host)?;
    btrfs.create(&path)?;
    sync_directory(&host.machines())?;
    Ok(btrfs.show(&path)?.map(|made| made.uuid))
}

fn id(metadata: &Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

/// Deletes what a command may delete of a container's state, as its claim says. No other function does.
pub(crate) fn delete_claimed(host: &Host, name: &MachineName, claim: &StateClaim) -> Result<()> {
    match claim {
        StateClaim::None => Ok(()),
        StateClaim::Making => {
            // It may have become somebody else's, so it is kept unless it is empty.
            let _ = fs::remove_dir(directory(host, name));
            Ok(())
        }
        StateClaim::Made(made) => match fs::symlink_metadata(directory(host, name)) {
            Ok(there) if id(&there) == *made => delete(host, name),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| directory(host, name).display().to_string()),
        },
        StateClaim::MadeSubvolume(uuid) => match Btrfs::find(host)?.show(&directory(host, name))? {
            Some(there) if there.uuid == *uuid => delete(host, name),
            _ => Ok(()),
        },
        StateClaim::SnapshotOf(source) => match Btrfs::find(host)?.show(&directory(host, name))? {
            Some(there) if there.parent.as_ref() == Some(source) => delete(host, name),
            _ => Ok(()),
        },
        StateClaim::Asked => delete(host, name),
    }
}

/// Deletes the root directory of a stopped container, and the files that systemd keeps beside it.
fn delete(host: &Host, name: &MachineName) -> Result<()> {
    check(host, name)?;
    let machines = host.machines();
    let path = directory(host, name);
    let _unused = unused(host, name)?;
    // If we are killed, systemd-tmpfiles removes `.#*` at boot (tmpfiles.d/systemd-nspawn.conf).
    let doomed = format!(".#{name}.removed");
    let parent = match open_directory(&machines) {
        Ok(parent) => parent,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| machines.display().to_string()),
    };
    let journals = journal_ids(&parent, name);
    let failed = |what: String| move || format!("{what}: cannot be deleted");
    // Leftovers of an earlier attempt would make the rename fail.
    remove_tree(&parent, OsStr::new(&doomed))
        .with_context(failed(machines.join(&doomed).display().to_string()))?;
    match renameat(&parent, name.as_str(), &parent, &doomed) {
        Ok(()) | Err(Errno::NOENT) => {}
        // An immutable directory cannot be renamed until the attribute is cleared.
        Err(Errno::PERM) => {
            clear_flags(&parent, OsStr::new(name.as_str()));
            renameat(&parent, name.as_str(), &parent, &doomed)
                .with_context(failed(path.display().to_string()))?;
        }
        Err(error) => return Err(error).with_context(failed(path.display().to_string())),
    }
    remove_tree(&parent, OsStr::new(&doomed)).with_context(failed(path.display().to_string()))?;
    remove_journal_links(host, &journals);
    let _ = unlinkat(&parent, format!(".#{name}.lck"), AtFlags::empty());
    Ok(())
}

/// The lock beside a root, which nspawn holds while it runs.
pub(crate) struct Reserved {
    _lock: OwnedFd,
    path: PathBuf,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // As nspawn does, while the lock is held.
        let _ = fs::remove_file(&self.path);
    }
}

/// Keeps nspawn from starting on the root, or fails if it runs.
pub(crate) fn reserve(host: &Host, name: &MachineName) -> Result<Reserved> {
    reserve_root(&directory(host, name))
}

/// Like [`reserve`], for a root in any directory.
pub(crate) fn reserve_root(root: &Path) -> Result<Reserved> {
    let path = lock_path(root);
    let cannot = || format!("{}: cannot be opened", path.display());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    loop {
        let lock = openat(CWD, &path, flags, Mode::from_raw_mode(0o600)).with_context(cannot)?;
        let Some(lock) = locked(&path, lock)? else {
            return refuse(format!("{}: is in use", root.display()));
        };
        // Whoever held it before may have deleted the file, and then it locks nothing.
        if fstat(&lock).with_context(cannot)?.st_nlink > 0 {
            return Ok(Reserved { _lock: lock, path });
        }
    }
}

/// Returns the lock beside a root.
fn lock_path(root: &Path) -> PathBuf {
    let mut file = OsString::from(".#");
    file.push(root.file_name().unwrap_or_default());
    file.push(".lck");
    root.with_file_name(file)
}

/// Removes the lock beside a root that is gone, if a killed command has left it.
pub(crate) fn remove_lock(host: &Host, name: &MachineName) -> Result<()> {
    if !exists(host, name) && is_there(&host.machines().join(format!(".#{name}.lck")))? {
        drop(reserve(host, name)?);
    }
    Ok(())
}

/// Takes the lock that nspawn holds beside the root while it runs. This also detects containers that no unit runs.
fn unused(host: &Host, name: &MachineName) -> Result<Option<OwnedFd>> {
    let path = lock_path(&directory(host, name));
    let lock = match openat(CWD, &path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(lock) => lock,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be opened", path.display())),
    };
    match locked(&path, lock)? {
        Some(lock) => Ok(Some(lock)),
        None => refuse(format!(
            "{}: is in use, so the state was not deleted; stop whatever uses it",
            directory(host, name).display()
        )),
    }
}

/// Locks the file, or returns `None` if somebody else has. nspawn takes a record lock of the open file (`F_OFD_SETLK`), which
/// excludes record locks, but not those of flock(2).
fn locked(path: &Path, lock: OwnedFd) -> Result<Option<OwnedFd>> {
    match fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
        Ok(()) => Ok(Some(lock)),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be locked", path.display())),
    }
}

/// Returns the machine IDs under which a container keeps journals: the names of its journal directories.
fn journal_ids(machines: &OwnedFd, name: &MachineName) -> Vec<String> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let journal = open_resolved(machines, &*format!("{name}/var/log/journal"), flags, resolve);
    let Ok(entries) = journal.and_then(Dir::read_from) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    names.filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).collect()
}

/// Removes the links that `LinkJournal=guest` leaves in the host's journal directory. They are identified by name,
/// since on systemd 262 they point to a temporary path (/tmp/nspawn-root-…) that is gone before the container runs.
fn remove_journal_links(host: &Host, ids: &[String]) {
    for id in ids {
        let link = host.directory(host.scope.journal).join(id);
        if fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink()) {
            let _ = fs::remove_file(&link);
        }
    }
}

/// Returns whether the state directory exists.
pub(crate) fn exists(host: &Host, name: &MachineName) -> bool {
    !matches!(fs::symlink_metadata(directory(host, name)), Err(error) if error.kind() == ErrorKind::NotFound)
}
