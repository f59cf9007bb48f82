//! Writes files so that no reader ever sees half of one: a temporary beside the target, then a rename. A file that
//! already holds the same bytes is left alone. One failure does not keep the rest of a plan from being written.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, fsync, mkdirat, openat, readlinkat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::plan::{Entry, OWN_DIRECTORY, Plan, owner};

/// A file that could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// Its path.
    pub path: String,
    /// Why.
    pub error: io::Error,
    /// The container it is a file of, which is not started with the host then.
    pub container: Option<String>,
}

impl fmt::Display for WriteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: cannot be written: {}", self.path, self.error)?;
        match &self.container {
            Some(name) => write!(out, ", container '{name}' is not started with the host"),
            None => Ok(()),
        }
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Writes the plan below `directory`, which exists. Files that are already as planned stay untouched; files outside of
/// the plan are ignored (systemd empties the directory before each run).
///
/// First come the files that PID 1 ignores, then units and drop-ins, at last the links that start them. A container gets
/// no link if one of its files could not be written: without its drop-in, the stock template would start.
pub fn write_plan(directory: &Path, plan: &Plan) -> Vec<WriteError> {
    let mut errors = Vec::new();
    let out = match openat(CWD, directory, DIRECTORY, Mode::empty()) {
        Ok(out) => out,
        Err(error) => {
            let path = directory.display().to_string();
            return vec![WriteError { path, error: error.into(), container: None }];
        }
    };
    let own = |path: &str| path.strip_prefix(OWN_DIRECTORY).is_some_and(|rest| rest.starts_with('/'));
    let step = |path: &str, entry: &Entry| match entry {
        Entry::File(_) if own(path) => 0,
        Entry::File(_) => 1,
        Entry::Link(_) => 2,
    };
    let in_order =
        (0..3).flat_map(|now| plan.files.iter().filter(move |(path, entry)| step(path, entry) == now));
    let mut failed: BTreeSet<&str> = BTreeSet::new();
    // Files of one directory follow each other, so each directory is made and opened once.
    let mut current: Option<(&str, OwnedFd, bool)> = None;
    for (path, entry) in in_order {
        let is_link = matches!(entry, Entry::Link(_));
        if is_link && !failed.is_empty() && owner(path).is_some_and(|name| failed.contains(name)) {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let written = (|| {
            if current.as_ref().is_none_or(|(open, _, _)| *open != folder) {
                let made = match mkdirat(&out, folder, Mode::from_raw_mode(0o755)) {
                    Ok(()) => true,
                    Err(Errno::EXIST) => false,
                    Err(error) => return Err(error.into()),
                };
                current =
                    Some((folder, openat(&out, folder, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?, made));
            }
            let Some((_, open, made)) = &current else { return Ok(()) };
            match entry {
                Entry::File(text) if !*made && holds(open, name, text.as_bytes()) => Ok(()),
                Entry::File(text) => replace(open, name, text.as_bytes(), Mode::from_raw_mode(0o644), false),
                Entry::Link(target) => link(open, name, target),
            }
        })();
        if let Err(error) = written {
            let container = owner(path).filter(|_| !is_link);
            failed.extend(container);
            let path = format!("{}/{path}", directory.display());
            errors.push(WriteError { path, error, container: container.map(str::to_owned) });
        }
    }
    errors
}

/// Replaces the file `name` in `directory` by one with these bytes, atomically and durably: file and directory are on
/// disk when this returns. A reader sees the old file or the new one.
pub fn write_durably(directory: impl AsFd, name: &str, bytes: &[u8], mode: Mode) -> io::Result<()> {
    replace(&directory, name, bytes, mode, true)?;
    fsync(&directory)?;
    Ok(())
}

/// Replaces the file `name` in `directory` atomically; a power failure may lose it.
pub fn write_at_once(directory: impl AsFd, name: &str, bytes: &[u8], mode: Mode) -> io::Result<()> {
    replace(&directory, name, bytes, mode, false)
}

fn replace(directory: impl AsFd, name: &str, bytes: &[u8], mode: Mode, durably: bool) -> io::Result<()> {
    // A fixed name: the next run replaces what a killed one left. It starts with a dot and ends in neither .json nor
    // .nspawn, so nobody reads it.
    let temporary = format!(".{name}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = match openat(&directory, &temporary, flags, mode) {
        Err(Errno::EXIST) => {
            unlinkat(&directory, &temporary, AtFlags::empty())?;
            openat(&directory, &temporary, flags, mode)?
        }
        opened => opened?,
    };
    let mut file = File::from(fd);
    let written = (|| {
        file.write_all(bytes)?;
        if durably {
            file.sync_all()?;
        }
        Ok(renameat(&directory, &temporary, &directory, name)?)
    })();
    if written.is_err() {
        // The disk may be full: free what was taken. The first error is the one that matters.
        let _ = unlinkat(&directory, &temporary, AtFlags::empty());
    }
    written
}

fn holds(directory: &OwnedFd, name: &str, bytes: &[u8]) -> bool {
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
