//! Deleting a container's state directory. Everything in it was written by the container: it is walked by directory
//! descriptors, without following a link or crossing a mount point. It is first renamed out of the way, so that
//! an interrupted deletion never leaves half a root under the container's name.

use std::ffi::{CString, OsStr};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, IFlags, Mode, OFlags, RenameFlags, ResolveFlags, flock,
    ioctl_getflags, ioctl_setflags, openat, openat2, renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::base::exit::refuse;
use crate::base::host::Host;

/// The root directory of a container.
pub(crate) fn directory(host: &Host, name: &MachineName) -> PathBuf {
    host.machines().join(name.as_str())
}

/// Refuses what [`delete`] could not do, before anything else is changed.
pub(crate) fn check(host: &Host, name: &MachineName) -> Result<()> {
    let path = directory(host, name);
    let Ok(metadata) = fs::symlink_metadata(&path) else { return Ok(()) };
    if metadata.is_symlink() {
        let target = fs::read_link(&path).unwrap_or_default();
        return refuse(format!(
            "{}: is a link to {}, nothing was changed; delete what it leads to yourself, or leave out --delete-state",
            path.display(),
            target.display()
        ));
    }
    if let Some(mount) = mounts_below(&path).first() {
        return refuse(format!(
            "{}: is a mount point in the container's state, nothing was changed; unmount it first",
            mount.display()
        ));
    }
    Ok(())
}

/// Deletes the root directory of a container that does not run, and what systemd keeps beside it.
pub(crate) fn delete(host: &Host, name: &MachineName) -> Result<()> {
    check(host, name)?;
    let machines = host.machines();
    let path = directory(host, name);
    let _unused = unused(host, name)?;
    // systemd-tmpfiles removes `.#*` at boot, should we be killed (tmpfiles.d/systemd-nspawn.conf).
    let doomed = format!(".#{name}.removed");
    let parent = match openat(CWD, &machines, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error).with_context(|| machines.display().to_string()),
    };
    let journals = journal_ids(&parent, name);
    let failed = |what: String| move || format!("{what}: cannot be deleted");
    // What an earlier attempt left comes first, or the rename would fail.
    remove_tree(&parent, OsStr::new(&doomed))
        .with_context(failed(machines.join(&doomed).display().to_string()))?;
    match renameat(&parent, name.as_str(), &parent, &doomed) {
        Ok(()) | Err(Errno::NOENT) => {}
        // An immutable root cannot be renamed, but cleared.
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

/// nspawn holds a lock beside the root while it runs; this finds one that no unit knows of.
fn unused(host: &Host, name: &MachineName) -> Result<Option<OwnedFd>> {
    let path = host.machines().join(format!(".#{name}.lck"));
    let lock = match openat(CWD, &path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(lock) => lock,
        Err(_) => return Ok(None),
    };
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => refuse(format!(
            "{}: is in use, its state was not deleted; stop what runs there",
            directory(host, name).display()
        )),
        _ => Ok(Some(lock)),
    }
}

/// Mount points at or below a path, from the kernel's own table.
fn mounts_below(path: &Path) -> Vec<PathBuf> {
    // The table has resolved paths; /var may be a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts: Vec<PathBuf> = table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsStr::from_bytes(&unescape(field))))
        .filter(|mount| mount.starts_with(path))
        .collect();
    mounts.sort();
    mounts
}

/// mountinfo writes blanks and backslashes as three octal digits (proc(5)).
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', next @ ..] if *first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = next;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// Each level of the walk holds a descriptor; what lies deeper is moved up, so that no tree is too deep.
const DEEPEST: usize = 64;

/// Removes whatever is called `name` in `parent`, and what is below it.
fn remove_tree(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match remove_entry(parent, name) {
        Removed::Yes => return Ok(()),
        Removed::Directory => {}
        Removed::No(error) => return Err(error.into()),
    }
    let top = open_directory(parent, name)?;
    let mut moved = 0;
    empty(&top, &top, 0, &mut moved)?;
    remove_directory(parent, name)
}

enum Removed {
    Yes,
    Directory,
    No(Errno),
}

fn remove_entry(parent: &OwnedFd, name: &OsStr) -> Removed {
    for attempt in 0..2 {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Removed::Yes,
            Err(Errno::ISDIR) => return Removed::Directory,
            // EPERM is an immutable entry or directory, as NixOS makes /var/empty.
            Err(Errno::PERM) if attempt == 0 => {
                if is_directory(parent, name) {
                    return Removed::Directory;
                }
                clear_own_flags(parent);
                clear_flags(parent, name);
            }
            Err(error) => return Removed::No(error),
        }
    }
    Removed::No(Errno::PERM)
}

fn remove_directory(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::PERM) => {
            clear_own_flags(parent);
            clear_flags(parent, name);
            Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
        }
        done => Ok(done?),
    }
}

/// Removes everything in `directory`. btrfs subvolumes are empty directories in the end, which rmdir takes.
fn empty(top: &OwnedFd, directory: &OwnedFd, depth: usize, moved: &mut u64) -> io::Result<()> {
    clear_own_flags(directory);
    // Entries that are moved up appear in the top directory: it is listed until nothing is left.
    loop {
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let name = OsStr::from_bytes(name.to_bytes());
            match remove_entry(directory, name) {
                Removed::Yes => continue,
                Removed::No(error) => return Err(error.into()),
                Removed::Directory => {}
            }
            if depth >= DEEPEST {
                clear_flags(directory, name);
                // The container may have made entries of any name.
                loop {
                    match renameat_with(
                        directory,
                        name,
                        top,
                        format!(".deep-{moved}"),
                        RenameFlags::NOREPLACE,
                    ) {
                        Err(Errno::EXIST) => *moved += 1,
                        renamed => break renamed?,
                    }
                }
                *moved += 1;
                continue;
            }
            let child = open_directory(directory, name)?;
            empty(top, &child, depth + 1, moved)?;
            drop(child);
            remove_directory(directory, name)?;
        }
    }
}

fn open_directory(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(parent, name, flags, Mode::empty(), resolve)
}

fn is_directory(parent: &OwnedFd, name: &OsStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Takes the immutable and append-only attributes off (chattr(1)). Only files and directories have them.
fn clear_flags(parent: &OwnedFd, name: &OsStr) {
    let regular_or_directory =
        rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            matches!(FileType::from_raw_mode(stat.st_mode), FileType::Directory | FileType::RegularFile)
        });
    if regular_or_directory {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(file) = openat(parent, name, flags, Mode::empty()) {
            clear_own_flags(&file);
        }
    }
}

fn clear_own_flags(file: impl AsFd) {
    let protected = IFlags::IMMUTABLE | IFlags::APPEND;
    if let Ok(flags) = ioctl_getflags(&file) {
        if flags.intersects(protected) {
            // If it fails, so does the removal, which is reported.
            let _ = ioctl_setflags(&file, flags - protected);
        }
    }
}

/// The ids under which a container keeps journals: the names of its journal directories.
fn journal_ids(machines: &OwnedFd, name: &MachineName) -> Vec<String> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let journal = openat2(machines, format!("{name}/var/log/journal"), flags, Mode::empty(), resolve);
    let Ok(entries) = journal.and_then(Dir::read_from) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    names.filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).collect()
}

/// `LinkJournal=guest` leaves links of these names in the host's journal directory. They lead into the root, on systemd
/// 262 by a path that is gone before the container runs (/tmp/nspawn-root-…), so the name decides.
fn remove_journal_links(host: &Host, ids: &[String]) {
    for id in ids {
        let link = host.path("/var/log/journal").join(id);
        if fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink()) {
            let _ = fs::remove_file(&link);
        }
    }
}

/// Whether there is state.
pub(crate) fn exists(host: &Host, name: &MachineName) -> bool {
    !matches!(fs::symlink_metadata(directory(host, name)), Err(error) if error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_escapes() {
        assert_eq!(unescape(br"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescape(br"/a\"), br"/a\");
    }

    #[test]
    fn a_deep_tree_with_links_is_removed_and_what_links_lead_to_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&kept, root.join("link")).unwrap();
        let mut current = openat(CWD, &root, OFlags::DIRECTORY, Mode::empty()).unwrap();
        // As a container might have it, to be in the way.
        fs::create_dir_all(root.join(".deep-0/x")).unwrap();
        for _ in 0..1000 {
            rustix::fs::mkdirat(&current, "d", Mode::from_raw_mode(0o755)).unwrap();
            current = openat(&current, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let parent = openat(CWD, folder.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        remove_tree(&parent, OsStr::new("root")).unwrap();
        assert!(!root.exists());
        assert!(kept.join("file").exists());
    }
}
