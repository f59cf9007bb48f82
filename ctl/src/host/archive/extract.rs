//! Writes the state of an archive into an empty directory. Everything is opened below that without following links, and
//! nothing is replaced, so that no archive can write elsewhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, SeekFrom, ftruncate, linkat, mkdirat, mknodat,
    openat, seek, symlinkat,
};

use super::attributes::Attributes;
use super::read::{TakenAttributes, Taker, What};

/// A directory that gets the state.
pub(crate) struct Extraction {
    root: OwnedFd,
    /// Directories, whose attributes are set last: each new entry would change them.
    directories: Vec<(Vec<u8>, Attributes)>,
}

impl Extraction {
    /// Opens the directory.
    pub(crate) fn into(root: &Path) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(CWD, root, flags, Mode::empty()).with_context(|| root.display().to_string())?;
        Ok(Self { root, directories: Vec::new() })
    }

    /// Completes the directories.
    pub(crate) fn end(self) -> Result<()> {
        for (path, attributes) in self.directories.iter().rev() {
            let directory = match path.is_empty() {
                true => self.root.try_clone()?,
                false => self.open(path)?,
            };
            attributes.set(&directory, false).with_context(|| String::from_utf8_lossy(path).into_owned())?;
        }
        Ok(())
    }

    /// Opens a path below the directory as a path only.
    fn open(&self, path: &[u8]) -> std::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        Ok(open_resolved(
            &self.root,
            OsStr::from_bytes(path),
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            resolve,
        )?)
    }

    /// Opens the directory of a path, and returns its last name.
    fn parent<'p>(&self, path: &'p [u8]) -> std::io::Result<(OwnedFd, &'p OsStr)> {
        match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => Ok((self.open(&path[..at])?, OsStr::from_bytes(&path[at + 1..]))),
            None => Ok((self.root.try_clone()?, OsStr::from_bytes(path))),
        }
    }
}

impl Taker for Extraction {
    fn closure(&mut self, part: &mut dyn Read) -> Result<()> {
        std::io::copy(part, &mut std::io::sink())?;
        Ok(())
    }

    fn state(&mut self, path: &[u8], what: What, attributes: &TakenAttributes) -> Result<()> {
        let TakenAttributes(attributes) = attributes;
        if path.is_empty() {
            self.directories.push((Vec::new(), attributes.clone()));
            return Ok(());
        }
        let (parent, name) = self.parent(path)?;
        let mut is_link = false;
        match what {
            What::Directory => {
                // Nobody else enters it before it is complete.
                mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
                self.directories.push((path.to_owned(), attributes.clone()));
                return Ok(());
            }
            What::Link(first) => {
                let (directory, first) = self.parent(first)?;
                linkat(&directory, first, &parent, name, AtFlags::empty())?;
                return Ok(());
            }
            What::File(size, contents) => write(&parent, name, size, contents)?,
            What::Symlink(target) => {
                symlinkat(OsStr::from_bytes(target), &parent, name)?;
                is_link = true;
            }
            What::Fifo => mknodat(&parent, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?,
            What::Whiteout => mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), 0)?,
        }
        let made = openat(&parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        Ok(attributes.set(&made, is_link)?)
    }
}

/// Writes a new file. Blocks of zeros become holes.
fn write(parent: impl AsFd, name: &OsStr, size: u64, contents: &mut dyn Read) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(parent, name, flags, Mode::from_raw_mode(0o600))?);
    let mut block = vec![0; 64 << 10];
    let mut at = 0;
    while at < size {
        let most = usize::try_from(size - at).unwrap_or(usize::MAX).min(block.len());
        let read = contents.read(&mut block[..most])?;
        if read == 0 {
            return crate::base::exit::refuse("is cut");
        }
        at += read as u64;
        if block[..read].iter().all(|byte| *byte == 0) {
            seek(&file, SeekFrom::Start(at))?;
        } else {
            file.write_all(&block[..read])?;
        }
    }
    Ok(ftruncate(&file, size)?)
}
