//! Opens files of a root that a container controls. A link could lead to the host's files, so none is followed.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::io::Errno;

/// The database of Nix in a root.
pub(crate) const DATABASE: &str = "nix/var/nix/db/db.sqlite";

/// Opens a root directory.
pub(crate) fn open(root: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, root, flags, Mode::empty()).with_context(|| root.display().to_string())
}

/// Opens what is no link and below none.
pub(crate) fn plain(root: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    opened(root, path, OFlags::PATH)
}

/// Opens a regular file for reading, or returns `None` if there is nothing.
pub(crate) fn file(root: &OwnedFd, path: &str) -> io::Result<Option<File>> {
    let file = match opened(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match file.metadata()?.is_file() {
        true => Ok(Some(file)),
        false => Err(io::Error::other("is not a regular file")),
    }
}

fn opened(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    open_resolved(root, path, flags | OFlags::CLOEXEC, resolve)
}
