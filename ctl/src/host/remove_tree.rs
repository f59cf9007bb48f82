//! Removes a tree that somebody else has written: it is walked by directory descriptors, without following links or
//! crossing mount points.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{
    AtFlags, Dir, FileType, IFlags, Mode, OFlags, RenameFlags, ResolveFlags, ioctl_getflags, ioctl_setflags,
    openat, renameat_with, unlinkat,
};
use rustix::io::Errno;

/// The maximum depth, since each level holds a descriptor. Deeper directories are moved up, so that no tree is too
/// deep.
const DEEPEST: usize = 64;

/// Removes the entry `name` of `parent` and everything below it.
pub(crate) fn remove_tree(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match remove_entry(parent, name) {
        EntryRemoval::Yes => return Ok(()),
        EntryRemoval::Directory => {}
        EntryRemoval::No(error) => return Err(error.into()),
    }
    let top = open_directory(parent, name)?;
    let mut moved = 0;
    empty(&top, &top, 0, &mut moved)?;
    remove_directory(parent, name)
}

enum EntryRemoval {
    Yes,
    Directory,
    No(Errno),
}

fn remove_entry(parent: &OwnedFd, name: &OsStr) -> EntryRemoval {
    for attempt in 0..2 {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return EntryRemoval::Yes,
            Err(Errno::ISDIR) => return EntryRemoval::Directory,
            // EPERM means an immutable entry or directory, such as NixOS's /var/empty.
            Err(Errno::PERM) if attempt == 0 => {
                if is_directory(parent, name) {
                    return EntryRemoval::Directory;
                }
                clear_own_flags(parent);
                clear_flags(parent, name);
            }
            Err(error) => return EntryRemoval::No(error),
        }
    }
    EntryRemoval::No(Errno::PERM)
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

/// Removes everything in `directory`. Emptied btrfs subvolumes are removed by rmdir.
fn empty(top: &OwnedFd, directory: &OwnedFd, depth: usize, moved: &mut u64) -> io::Result<()> {
    clear_own_flags(directory);
    // Directories that are moved up appear in the top directory, so it is listed until it is empty.
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
                EntryRemoval::Yes => continue,
                EntryRemoval::No(error) => return Err(error.into()),
                EntryRemoval::Directory => {}
            }
            if depth >= DEEPEST {
                clear_flags(directory, name);
                // The container may have created entries with any name.
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
    open_resolved(parent, name, flags, resolve)
}

fn is_directory(parent: &OwnedFd, name: &OsStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Clears the immutable and append-only attributes (chattr(1)). Only files and directories have them.
pub(crate) fn clear_flags(parent: &OwnedFd, name: &OsStr) {
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
            // If this fails, so does the removal, which is reported.
            let _ = ioctl_setflags(&file, flags - protected);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn deep_trees_are_removed_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&kept, root.join("link")).unwrap();
        let mut current = openat(CWD, &root, OFlags::DIRECTORY, Mode::empty()).unwrap();
        // A container may have created it to be in the way.
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
