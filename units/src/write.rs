//! Writes files so that no reader ever sees half of one: a temporary beside the target, then a rename, or a single write
//! of a new unit. A file that already holds the same bytes is left alone. One failure does not keep the rest of a plan from
//! being written.

mod replace;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use rustix::fs::{CWD, Dir, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use crate::name::MachineName;
use crate::network::zone_bridge_of;
use crate::plan::{Entry, Files, OWN_DIRECTORY, WRITABLE};

use replace::{Replace, create, holds, replace};

pub use replace::{link, write_at_once, write_durably};

/// A file that could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// Its path.
    pub path: String,
    /// Why.
    pub error: io::Error,
    /// The container that it was planned for, which is not started with the host then.
    pub container: Option<MachineName>,
}

impl fmt::Display for WriteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: cannot be written: {}", self.path, self.error)?;
        let Some(name) = &self.container else { return Ok(()) };
        let file_name = self.path.rsplit('/').next().unwrap_or_default();
        match zone_bridge_of(file_name).and_then(|bridge| bridge.strip_prefix("vz-")) {
            // It is handed over with the first container, but each of them waits for it.
            Some(zone) => {
                write!(out, ", container '{name}' and all others of zone '{zone}' are not started")
            }
            None => write!(out, ", container '{name}' is not started with the host"),
        }
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The directories that are kept open, since every container has files in them.
const SHARED: [&str; 5] =
    [".", OWN_DIRECTORY, "machines.target.wants", "multi-user.target.wants", "sockets.target.wants"];

/// So many bytes are written together: the files of some thirty containers. Planning and writing each container in turn
/// takes a twentieth longer, since either finds the processor's caches full of the other.
const TOGETHER: usize = 128 * 1024;

/// Writes the files of a plan below a directory. Files that are already as planned stay
/// untouched; files outside of the plan are ignored (systemd empties the directory before each run).
pub struct Writer<'a> {
    directory: &'a Path,
    began: SystemTime,
    out: OwnedFd,
    shared: [OnceLock<Folder>; SHARED.len()],
    errors: Mutex<Vec<WriteError>>,
}

impl<'a> Writer<'a> {
    /// Opens the directory, which exists. `began` is the time at which the first intent was about to be read; the list of
    /// writable mounts gets it, since whatever is changed later may not be in the list.
    pub fn open(directory: &'a Path, began: SystemTime) -> Result<Self, WriteError> {
        match openat(CWD, directory, DIRECTORY, Mode::empty()) {
            Ok(out) => {
                Ok(Self { directory, began, out, shared: Default::default(), errors: Mutex::default() })
            }
            Err(error) => {
                let path = directory.display().to_string();
                Err(WriteError { path, error: error.into(), container: None })
            }
        }
    }

    /// Returns what collects files and writes them together. Each thread has its own.
    pub fn batch(&self) -> Batch<'_> {
        Batch { writer: self, waiting: Vec::new(), bytes: 0 }
    }

    /// Returns what could not be written.
    pub fn finish(self) -> Vec<WriteError> {
        let mut errors = self.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Threads note them in any order.
        errors.sort_by(|a, b| a.path.cmp(&b.path));
        errors
    }

    fn write(&self, waiting: Vec<(Option<MachineName>, Files)>) {
        let mut failed = vec![false; waiting.len()];
        for ignored in [true, false] {
            for ((container, entries), failed) in waiting.iter().zip(&mut failed) {
                for (path, entry) in entries {
                    if let (Entry::File(text), true) = (entry, is_ignored(path) == ignored) {
                        let written = self.file(path, text.as_bytes());
                        *failed |= written.is_err();
                        self.note(path, written, container.as_ref());
                    }
                }
            }
        }
        // Links of one directory follow each other.
        let mut made = None;
        for ((_, entries), _) in waiting.iter().zip(failed).filter(|(_, failed)| !failed) {
            for (path, entry) in entries {
                if let Entry::Link(target) = entry {
                    let written = self.link(path, target, &mut made);
                    self.note(path, written, None);
                }
            }
        }
    }

    fn note(&self, path: &str, written: io::Result<()>, container: Option<&MachineName>) {
        if let Err(error) = written {
            let path = format!("{}/{path}", self.directory.display());
            let error = WriteError { path, error, container: container.cloned() };
            self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        }
    }

    fn file(&self, path: &str, text: &[u8]) -> io::Result<()> {
        let (folder, name) = split(path);
        let mode = Mode::from_raw_mode(0o644);
        let modified = Some(self.began).filter(|_| (folder, name) == (OWN_DIRECTORY, WRITABLE));
        let transient;
        let there = match self.shared(folder)? {
            Some(there) => there,
            None => {
                if make(&self.out, folder)? {
                    return create(&self.out, path, text, mode);
                }
                transient = Folder::open(&self.out, folder)?;
                &transient
            }
        };
        let present = there.present.has(name);
        if !present && !is_ignored(path) {
            return create(&there.open, name, text, mode);
        }
        // A list that stays has an earlier time, with which a start reads more than it must.
        if present && holds(&there.open, name, text) {
            return Ok(());
        }
        replace(&there.open, name, text, mode, Replace { durably: false, modified })
    }

    /// Makes a link. `made` is the directory that was made last, which needs no look.
    fn link<'b>(&self, path: &'b str, target: &str, made: &mut Option<&'b str>) -> io::Result<()> {
        let (folder, name) = split(path);
        if let Some(folder) = self.shared(folder)? {
            return link(&folder.open, name, target);
        }
        if *made != Some(folder) {
            if !make(&self.out, folder)? {
                return link(open(&self.out, folder)?, name, target);
            }
            *made = Some(folder);
        }
        Ok(symlinkat(target, &self.out, path)?)
    }

    /// Returns a directory that is kept open, if this is one of them.
    fn shared(&self, folder: &str) -> io::Result<Option<&Folder>> {
        let Some(at) = SHARED.iter().position(|shared| *shared == folder) else { return Ok(None) };
        if let Some(folder) = self.shared[at].get() {
            return Ok(Some(folder));
        }
        // Two threads may get here. What one of them finds of the other's is not among its own names.
        let folder = match make(&self.out, folder)? {
            true => Folder { open: open(&self.out, folder)?, present: Present::default() },
            false => Folder::open(&self.out, folder)?,
        };
        Ok(Some(self.shared[at].get_or_init(|| folder)))
    }
}

/// Collects files, and writes them when there are enough, at the latest when it is dropped.
pub struct Batch<'a> {
    writer: &'a Writer<'a>,
    /// What is to be written next, and how many bytes that are.
    waiting: Vec<(Option<MachineName>, Files)>,
    bytes: usize,
}

impl Batch<'_> {
    /// Writes the files and links that belong together, mostly those of one container, which errors name. First come the
    /// files that PID 1 ignores, then units and drop-ins, at last the links that start them. There are no links if one of
    /// the files could not be written: without its drop-in, the stock template would start.
    pub fn write(&mut self, container: Option<&MachineName>, files: Files) {
        let length = |(_, entry): &(String, Entry)| match entry {
            Entry::File(text) => text.len(),
            Entry::Link(target) => target.len(),
        };
        self.bytes += files.iter().map(length).sum::<usize>();
        self.waiting.push((container.cloned(), files));
        if self.bytes >= TOGETHER {
            self.write_waiting();
        }
    }

    fn write_waiting(&mut self) {
        self.bytes = 0;
        self.writer.write(std::mem::take(&mut self.waiting));
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.write_waiting();
    }
}

/// Returns whether PID 1 ignores a file. `--prepare` reads it, which may be while another run of the generator writes it.
fn is_ignored(path: &str) -> bool {
    path.strip_prefix(OWN_DIRECTORY).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the directory and the name of a path.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}

/// An open directory.
struct Folder {
    open: OwnedFd,
    present: Present,
}

/// Makes a directory; returns false if there is something of this name. A new one is empty, and is reached by its path:
/// opening and closing it would take as long as making it.
fn make(out: &OwnedFd, folder: &str) -> io::Result<bool> {
    match mkdirat(out, folder, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn open(out: &OwnedFd, folder: &str) -> io::Result<OwnedFd> {
    Ok(openat(out, folder, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
}

impl Folder {
    /// Opens a directory that was there.
    fn open(out: &OwnedFd, folder: &str) -> io::Result<Self> {
        let open = open(out, folder)?;
        let present = Present::of(&open)?;
        Ok(Self { open, present })
    }
}

/// The names in a directory before anything was written to it. The generator's is empty, so no file has to be looked up.
#[derive(Default)]
struct Present(BTreeSet<Vec<u8>>);

impl Present {
    fn of(directory: &OwnedFd) -> io::Result<Self> {
        let names = Dir::read_from(directory)?.map(|entry| Ok(entry?.file_name().to_bytes().to_vec()));
        Ok(Self(names.collect::<Result<_, Errno>>()?))
    }

    fn has(&self, name: &str) -> bool {
        !self.0.is_empty() && self.0.contains(name.as_bytes())
    }
}

#[cfg(test)]
mod tests;
