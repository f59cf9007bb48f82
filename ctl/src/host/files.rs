//! File primitives: durable writes and removals, and a PATH search.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::write::{link, write_at_once, write_durably};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, fsync, openat, renameat_with};
use rustix::io::Errno;

use crate::base::host::Host;
use crate::base::tree::read_regular;

/// Opens a directory as a descriptor.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Reads a regular file of at most 1 MiB. Neither follows a link nor blocks.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    read_regular(fs::File::from(openat(CWD, path, flags, Mode::empty())?))
}

/// Replaces a file atomically and durably.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let written = split(path).and_then(|(folder, name)| {
        write_durably(open_directory(folder)?, name, bytes, Mode::from_raw_mode(mode))
    });
    written.with_context(|| format!("{}: cannot be written", path.display()))
}

/// Replaces a file atomically; it may be lost in a power failure.
pub(crate) fn write_file_for_now(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (folder, name) = split(path)?;
    write_at_once(open_directory(folder)?, name, bytes, Mode::from_raw_mode(mode))
}

/// Replaces a symbolic link atomically.
pub(crate) fn write_link(path: &Path, target: &str) -> io::Result<()> {
    let (folder, name) = split(path)?;
    link(open_directory(folder)?, name, target)
}

/// Removes a file if it exists.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Returns a path below the root with a link in its last component followed, in an offline tree inside of it.
pub(crate) fn followed(host: &Host, path: &Path) -> PathBuf {
    host.directory(Path::new("/").join(path.strip_prefix(&host.root).unwrap_or(path)))
}

/// Returns whether an error says that there is no such file.
pub(crate) fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Returns the names in a directory, or none if it does not exist. Other errors are not treated as absence.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>> {
    let cannot = || format!("{}: cannot be listed", path.display());
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(cannot),
    };
    let mut names = Vec::new();
    for entry in entries {
        // All our names are UTF-8.
        names.extend(entry.with_context(cannot)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Syncs a directory, so that entries created or removed in it survive a power failure.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let synced = open_directory(path).and_then(|directory| Ok(fsync(directory)?));
    synced.with_context(|| format!("{}: cannot be written to the disk", path.display()))
}

/// Returns whether a path exists; a dangling link counts. Other errors are not treated as absence.
pub(crate) fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Renames a path, and replaces nothing.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    without_flag(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE), from, to)
}

/// Renames a path if the file system does not know the flag that protects what has the new name.
fn without_flag(renamed: Result<(), Errno>, from: &Path, to: &Path) -> io::Result<()> {
    match renamed {
        Err(Errno::INVAL) => match fs::symlink_metadata(to) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        },
        renamed => Ok(renamed?),
    }
}

/// Where programs of administrators are if PATH does not name them, as in units of NixOS.
pub(crate) const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/run/current-system/sw/bin"];

/// Finds a program in PATH, then in additional directories.
pub(crate) fn which(name: &str, further: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(further.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Splits a path into its directory and file name.
fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "not the name of a file"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_and_links_are_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_file(&path, b"1", 0o600).unwrap();
        write_file(&path, b"2", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write_link(&path, "/b").unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/b"));
        remove_file(&path).unwrap();
        remove_file(&path).unwrap();
        assert!(path.symlink_metadata().is_err());
        sync_directory(folder.path()).unwrap();
        let message = format!("{:#}", write_file(&folder.path().join("b/c"), b"", 0o600).unwrap_err());
        assert!(message.contains("/b/c: cannot be written: No such file or directory"), "{message}");
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        assert_eq!(read_small(&at("file")).unwrap(), b"text");
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        rustix::fs::mknodat(CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::File::create(at("large")).unwrap().set_len((1 << 20) + 1).unwrap();
        for name in ["link", "fifo", "large", "."] {
            assert!(read_small(&at(name)).is_err(), "{name}");
        }
        assert_eq!(read_small(&at("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_rename_replaces_nothing_without_the_flag_either() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::write(&from, "mine").unwrap();
        fs::write(&to, "theirs").unwrap();
        for refused in [rename_new(&from, &to), without_flag(Err(Errno::INVAL), &from, &to)] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_to_string(&to).unwrap(), "theirs");
        fs::remove_file(&to).unwrap();
        without_flag(Err(Errno::INVAL), &from, &to).unwrap();
        rename_new(&to, &from).unwrap();
        assert_eq!(fs::read_to_string(&from).unwrap(), "mine");
        let refused = without_flag(Err(Errno::XDEV), &from, &to).unwrap_err();
        assert!(refused.kind() == ErrorKind::CrossesDevices && from.exists());
    }
}
