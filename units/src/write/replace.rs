//! Replaces a single file or link, so that no reader ever sees half of one: a temporary beside it, then a rename.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, fsync, openat, readlinkat, renameat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

/// Replaces the file `name` in `directory` by one with these bytes, atomically and durably: file and directory are on
/// disk when this returns. A reader sees the old file or the new one.
pub fn write_durably(directory: impl AsFd, name: &str, bytes: &[u8], mode: Mode) -> io::Result<()> {
    replace(&directory, name, bytes, mode, Replace { durably: true, modified: None })?;
    fsync(&directory)?;
    Ok(())
}

/// Replaces the file `name` in `directory` atomically; a power failure may lose it.
pub fn write_at_once(directory: impl AsFd, name: &str, bytes: &[u8], mode: Mode) -> io::Result<()> {
    replace(&directory, name, bytes, mode, Replace { durably: false, modified: None })
}

const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// How a file is replaced.
pub(super) struct Replace {
    /// Whether it is on disk before it gets its name.
    pub(super) durably: bool,
    /// The time that it gets in place of the present one.
    pub(super) modified: Option<SystemTime>,
}

/// Replaces the file at a path below a directory.
pub(super) fn replace(
    directory: impl AsFd,
    path: &str,
    bytes: &[u8],
    mode: Mode,
    how: Replace,
) -> io::Result<()> {
    // A fixed name: the next run replaces what a killed one left. It starts with a dot and ends in neither .json nor
    // .nspawn, so nobody reads it.
    let (folder, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    let temporary = [folder, ".", name, ".new"].concat();
    let fd = match openat(&directory, &temporary, NEW, mode) {
        Err(Errno::EXIST) => {
            unlinkat(&directory, &temporary, AtFlags::empty())?;
            openat(&directory, &temporary, NEW, mode)?
        }
        opened => opened?,
    };
    let mut file = File::from(fd);
    let written = (|| {
        file.write_all(bytes)?;
        if let Some(time) = how.modified {
            file.set_modified(time)?;
        }
        if how.durably {
            file.sync_all()?;
        }
        Ok(renameat(&directory, &temporary, &directory, path)?)
    })();
    if written.is_err() {
        // The disk may be full: free what was taken. The first error is the one that matters.
        let _ = unlinkat(&directory, &temporary, AtFlags::empty());
    }
    written
}

/// The longest file that one write puts on tmpfs whole or not at all: a page. The generators' directory is on tmpfs.
const AT_ONCE: usize = 4096;

/// Creates a file that PID 1 reads after this process has ended. A short one needs no temporary: a process that is killed in
/// between leaves it empty, which PID 1 takes for no drop-in, or for a masked unit.
pub(super) fn create(directory: impl AsFd, path: &str, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let rename = || replace(&directory, path, bytes, mode, Replace { durably: false, modified: None });
    if bytes.len() > AT_ONCE {
        return rename();
    }
    let mut file = match openat(&directory, path, NEW, mode) {
        Err(Errno::EXIST) => return rename(),
        opened => File::from(opened?),
    };
    let written = file.write_all(bytes);
    if written.is_err() {
        let _ = unlinkat(&directory, path, AtFlags::empty());
    }
    written
}

/// Returns whether a regular file has these bytes.
pub(super) fn holds(directory: &OwnedFd, name: &str, bytes: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(fd) = openat(directory, name, flags, Mode::empty()) else { return false };
    let mut present = Vec::with_capacity(bytes.len() + 1);
    File::from(fd).take(bytes.len() as u64 + 1).read_to_end(&mut present).is_ok() && present == bytes
}

/// Creates a symbolic link, replacing what stands there.
pub fn link(directory: impl AsFd, name: &str, target: &str) -> io::Result<()> {
    match symlinkat(target, &directory, name) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    if readlinkat(&directory, name, Vec::new()).is_ok_and(|present| present.to_bytes() == target.as_bytes()) {
        return Ok(());
    }
    let temporary = format!(".{name}.new");
    match statat(&directory, &temporary, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => unlinkat(&directory, &temporary, AtFlags::empty())?,
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    symlinkat(target, &directory, &temporary)?;
    Ok(renameat(&directory, &temporary, &directory, name)?)
}
