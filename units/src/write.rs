//! Writes files so that no reader ever sees half of one: a temporary beside the target, then a rename. A file that
//! already holds the same bytes is left alone. One failure does not keep the rest of a plan from being written.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, fsync, mkdirat, openat, readlinkat, renameat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use crate::plan::{Entry, OWN_DIRECTORY, owner};

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

/// The directories that are kept open, since every container has files in them.
const SHARED: [&str; 5] =
    [".", OWN_DIRECTORY, "machines.target.wants", "multi-user.target.wants", "sockets.target.wants"];

/// Writes the files of a plan below a directory, container by container. Files that are already as planned stay
/// untouched; files outside of the plan are ignored (systemd empties the directory before each run).
pub struct Writer<'a> {
    directory: &'a Path,
    out: OwnedFd,
    shared: [Option<Folder>; SHARED.len()],
    errors: Vec<WriteError>,
}

impl<'a> Writer<'a> {
    /// Opens the directory, which exists.
    pub fn open(directory: &'a Path) -> Result<Self, WriteError> {
        match openat(CWD, directory, DIRECTORY, Mode::empty()) {
            Ok(out) => Ok(Self { directory, out, shared: Default::default(), errors: Vec::new() }),
            Err(error) => {
                let path = directory.display().to_string();
                Err(WriteError { path, error: error.into(), container: None })
            }
        }
    }

    /// Writes the files and links that belong together, mostly those of one container. First come the files that PID 1
    /// ignores, then units and drop-ins, at last the links that start them. There are no links if one of the files could
    /// not be written: without its drop-in, the stock template would start.
    pub fn write(&mut self, entries: &[(String, Entry)]) {
        let own = |path: &str| path.strip_prefix(OWN_DIRECTORY).is_some_and(|rest| rest.starts_with('/'));
        let before = self.errors.len();
        for ignored in [true, false] {
            for (path, entry) in entries {
                if let (Entry::File(text), true) = (entry, own(path) == ignored) {
                    let written = self.file(path, text.as_bytes());
                    self.note(path, written, owner(path));
                }
            }
        }
        if self.errors.len() > before {
            return;
        }
        // Links of one directory follow each other.
        let mut last = None;
        for (path, entry) in entries {
            if let Entry::Link(target) = entry {
                let written = self.link(path, target, &mut last);
                self.note(path, written, None);
            }
        }
    }

    /// Returns what could not be written.
    pub fn finish(self) -> Vec<WriteError> {
        self.errors
    }

    fn note(&mut self, path: &str, written: io::Result<()>, container: Option<&str>) {
        if let Err(error) = written {
            let path = format!("{}/{path}", self.directory.display());
            self.errors.push(WriteError { path, error, container: container.map(str::to_owned) });
        }
    }

    fn file(&mut self, path: &str, text: &[u8]) -> io::Result<()> {
        let (folder, name) = split(path);
        let transient;
        let folder = match self.shared(folder)? {
            Some(folder) => folder,
            None => {
                transient = Folder::make(&self.out, folder)?;
                &transient
            }
        };
        if folder.present.has(name) && holds(&folder.open, name, text) {
            return Ok(());
        }
        replace(&folder.open, name, text, Mode::from_raw_mode(0o644), false)
    }

    fn link<'b>(
        &mut self,
        path: &'b str,
        target: &str,
        last: &mut Option<(&'b str, Folder)>,
    ) -> io::Result<()> {
        let (folder, name) = split(path);
        if let Some(folder) = self.shared(folder)? {
            return link(&folder.open, name, target);
        }
        if last.as_ref().is_none_or(|(open, _)| *open != folder) {
            *last = Some((folder, Folder::make(&self.out, folder)?));
        }
        last.as_ref().map_or(Ok(()), |(_, folder)| link(&folder.open, name, target))
    }

    /// Returns a directory that is kept open, if this is one of them.
    fn shared(&mut self, folder: &str) -> io::Result<Option<&Folder>> {
        let Some(at) = SHARED.iter().position(|shared| *shared == folder) else { return Ok(None) };
        let slot = &mut self.shared[at];
        if slot.is_none() {
            *slot = Some(Folder::make(&self.out, folder)?);
        }
        Ok(slot.as_ref())
    }
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

impl Folder {
    /// Makes a directory unless there is one, and opens it.
    fn make(out: &OwnedFd, folder: &str) -> io::Result<Self> {
        let made = match mkdirat(out, folder, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let open = openat(out, folder, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let present = if made { Present::default() } else { Present::of(&open)? };
        Ok(Self { open, present })
    }
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
    let temporary = [".", name, ".new"].concat();
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
