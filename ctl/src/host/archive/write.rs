//! Writes an archive. The state is walked by descriptors, so that links in it lead nowhere.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat};
use tar::{Builder, EntryType, Header};

use super::attributes::{Attributes, path_of};
use super::sum::{Sum, Summed};
use super::{CLOSURE, Description, End, FIRST, LAST, PART, STATE};
use crate::base::interrupt;

/// The deepest directory, since each on the way holds a descriptor.
const DEEPEST: usize = 500;

/// An archive that is being written.
pub(crate) struct Writer<'a, W: Write> {
    tar: Builder<Summed<W>>,
    sum: Sum,
    entries: u64,
    /// The files with several names, and the first name of each.
    linked: BTreeMap<(u64, u64), Vec<u8>>,
    /// What was left out: sockets, and device nodes.
    pub(crate) left_out: u64,
    /// Is told how many bytes are written.
    progress: &'a dyn Fn(u64),
}

impl<'a, W: Write> Writer<'a, W> {
    /// Begins an archive with its description.
    pub(crate) fn begin(out: W, description: &Description, progress: &'a dyn Fn(u64)) -> Result<Self> {
        let sum = Sum::default();
        let tar = Builder::new(Summed { inner: out, sum: sum.clone() });
        let mut writer = Self { tar, sum, entries: 0, linked: BTreeMap::new(), left_out: 0, progress };
        writer.bytes(FIRST, &(serde_json::to_vec_pretty(description)?))?;
        Ok(writer)
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        self.tar.append_data(&mut header, name, bytes)?;
        self.wrote()
    }

    fn wrote(&mut self) -> Result<()> {
        self.entries += 1;
        (self.progress)(self.sum.total());
        interrupt::check()
    }

    /// Adds the closure, in parts.
    pub(crate) fn closure(&mut self, mut from: impl Read) -> Result<()> {
        let mut part = Vec::with_capacity(PART);
        for number in 0.. {
            part.clear();
            (&mut from).take(PART as u64).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
            self.bytes(&format!("{CLOSURE}/{number:08}"), &part)?;
        }
        Ok(())
    }

    /// Adds the state.
    pub(crate) fn state(&mut self, root: &Path) -> Result<()> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let cannot = || format!("{}: cannot be read", root.display());
        let top = openat(CWD, root, flags, Mode::empty()).with_context(cannot)?;
        self.directory(&top, STATE.as_bytes()).with_context(cannot)?;
        let mut due = vec![Level::open(top, STATE.as_bytes().to_vec()).with_context(cannot)?];
        while let Some(level) = due.last_mut() {
            let Some(name) = level.names.pop() else {
                due.pop();
                continue;
            };
            let path = [&level.path, &b"/"[..], name.as_bytes()].concat();
            let shown = || format!("{}: cannot be archived", String::from_utf8_lossy(&path));
            let inner = self.entry(&level.directory, &name, &path).with_context(shown)?;
            if let Some(directory) = inner {
                if due.len() >= DEEPEST {
                    return Err(anyhow!("too deep").context(shown()));
                }
                due.push(Level::open(directory, path.clone()).with_context(shown)?);
            }
        }
        Ok(())
    }

    /// Adds an entry of a directory. Returns it if it is a directory itself.
    fn entry(&mut self, parent: &OwnedFd, name: &CString, path: &[u8]) -> Result<Option<OwnedFd>> {
        let file = openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let (attributes, stat) = Attributes::read(&file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = openat(parent, name, flags, Mode::empty())?;
            self.directory(&directory, path)?;
            return Ok(Some(directory));
        }
        let place = Path::new(OsStr::from_bytes(path));
        if stat.st_nlink > 1 {
            if let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)) {
                let first = first.clone();
                let mut header = header(EntryType::Link, &attributes);
                self.link(&mut header, place, &first)?;
                return Ok(None);
            }
        }
        match kind {
            FileType::RegularFile => self.regular(&file, &attributes, &stat, place)?,
            FileType::Symlink => {
                let target = readlinkat(&file, "", Vec::new())?;
                self.records(&attributes)?;
                self.link(&mut header(EntryType::Symlink, &attributes), place, target.as_bytes())?;
            }
            FileType::Fifo => {
                self.records(&attributes)?;
                self.tar.append_data(&mut header(EntryType::Fifo, &attributes), place, io::empty())?;
                self.wrote()?;
            }
            // A whiteout of an overlay, which is no device.
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                self.records(&attributes)?;
                let mut header = header(EntryType::Char, &attributes);
                header.set_device_major(0)?;
                header.set_device_minor(0)?;
                self.tar.append_data(&mut header, place, io::empty())?;
                self.wrote()?;
            }
            _ => {
                self.left_out += 1;
                return Ok(None);
            }
        }
        if stat.st_nlink > 1 {
            self.linked.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        Ok(None)
    }

    fn regular(&mut self, file: &OwnedFd, attributes: &Attributes, stat: &Stat, place: &Path) -> Result<()> {
        let size = stat.st_size as u64;
        let opened = File::open(path_of(file))?;
        self.records(attributes)?;
        let mut header = header(EntryType::Regular, attributes);
        header.set_size(size);
        let mut contents = Exactly { inner: opened, left: size };
        self.tar.append_data(&mut header, place, &mut contents)?;
        self.wrote()
    }

    fn directory(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<()> {
        let (attributes, _) = Attributes::read(directory)?;
        self.records(&attributes)?;
        let mut header = header(EntryType::Directory, &attributes);
        self.tar.append_data(&mut header, Path::new(OsStr::from_bytes(path)), io::empty())?;
        self.wrote()
    }

    /// Adds a link. Its target is written as it is.
    fn link(&mut self, header: &mut Header, place: &Path, target: &[u8]) -> Result<()> {
        match header.set_link_name_literal(target) {
            Ok(()) => self.tar.append_data(header, place, io::empty())?,
            Err(_) => self.tar.append_link(header, place, OsStr::from_bytes(target))?,
        }
        self.wrote()
    }

    fn records(&mut self, attributes: &Attributes) -> Result<()> {
        let records = attributes.records();
        if !records.is_empty() {
            self.tar.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), &value[..])))?;
        }
        Ok(())
    }

    /// Ends the archive. Returns its size and where it was written.
    pub(crate) fn end(mut self) -> Result<(u64, W)> {
        let end = End { sha256: self.sum.whole(), entries: self.entries };
        self.bytes(LAST, &serde_json::to_vec(&end)?)?;
        let out = self.tar.into_inner()?;
        Ok((out.sum.total(), out.inner))
    }
}

/// A directory that is being walked.
struct Level {
    directory: OwnedFd,
    path: Vec<u8>,
    /// The names that are due, in reverse order.
    names: Vec<CString>,
}

impl Level {
    fn open(directory: OwnedFd, path: Vec<u8>) -> Result<Self> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Self { directory, path, names })
    }
}

/// A file of which exactly a number of bytes is read.
struct Exactly {
    inner: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::Error::other("became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Returns a header without a name.
fn header(kind: EntryType, attributes: &Attributes) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(attributes.mode);
    header.set_uid(attributes.owner.0.into());
    header.set_gid(attributes.owner.1.into());
    header.set_mtime(attributes.time.0.max(0) as u64);
    header.set_size(0);
    header
}
