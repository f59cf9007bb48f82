//! Opens and reads trusted files: directories and files that belong to root, and links that lead into the store.
//! Nothing is opened that could block.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, lstat, openat, readlinkat};
use rustix::io::{Errno, read};

use crate::deadline::InTime;
use crate::intent::{Fault, MAX_SIZE};
use crate::invalid::shown;
use crate::name::MachineName;
use crate::resolve::open_resolved;

/// Where intents are recorded.
pub const DIRECTORY: &str = "/etc/nixos-nspawn";

/// Where the host's NixOS configuration records intents.
pub const DECLARATIVE_DIRECTORY: &str = "/etc/nixos-nspawn/declarative.d";

/// What the generator must know about the host, written by ctl or the NixOS module.
pub const HOST_FILE: &str = "/etc/nixos-nspawn/host.json";

const STORE: &str = "/nix/store/";

/// The owners whose files are trusted: root, and below another root also the caller, who made that tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust {
    /// A further owner.
    pub also: Option<u32>,
}

impl Trust {
    /// Returns whose files are trusted below this root: root's, and in a tree other than the running system also the
    /// caller's.
    pub fn below(root: &Path) -> Self {
        Self { also: (root != Path::new("/")).then(|| rustix::process::geteuid().as_raw()) }
    }

    fn owner(self, uid: u32) -> bool {
        uid == 0 || self.also == Some(uid)
    }
}

/// Reads below a root, with the owners to trust.
pub(super) struct Reader<'a> {
    pub(super) root: &'a Path,
    pub(super) trust: Trust,
    pub(super) in_time: InTime<'a>,
}

/// Whether to read the intent of a container.
pub(super) type Wanted<'a> = &'a dyn Fn(&MachineName) -> bool;

/// Why a file was not read.
pub(super) enum Unreadable {
    /// It does not exist.
    Missing,
    /// It is larger than was asked for.
    Large,
    /// It cannot be used.
    Fault(Fault),
}

/// A directory, none, or what is wrong with it; its names can be listed even then.
type Opened = Result<Option<OwnedFd>, (Fault, Option<OwnedFd>)>;

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Reader<'_> {
    /// Opens a directory that must be real and belong to root.
    pub(super) fn directory(&self, path: &str) -> Opened {
        let below = self.root.join(path.trim_start_matches('/'));
        let flags = READ | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        match openat(CWD, &below, flags, Mode::empty()) {
            Ok(directory) => self.believed(directory),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.no_directory(path, &below)),
            Err(error) => Err((Fault::whole(format!("cannot be read: {}", io::Error::from(error))), None)),
        }
    }

    /// Returns the fault of something that is not a directory. If it is a link, the names in its target can be listed,
    /// unless that is on another file system, which may not answer.
    fn no_directory(&self, path: &str, below: &Path) -> (Fault, Option<OwnedFd>) {
        if !lstat(below).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink) {
            return (Fault::whole("is not a directory"), None);
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let path = path.trim_start_matches('/');
        let listed = openat(CWD, self.root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .and_then(|root| open_resolved(&root, path, READ | OFlags::DIRECTORY, resolve));
        (Fault::whole("is a symbolic link, must be a directory"), listed.ok())
    }

    fn believed(&self, directory: OwnedFd) -> Opened {
        let looked = fstat(&directory).map_err(|e| format!("cannot be inspected: {}", io::Error::from(e)));
        match looked.and_then(|stat| self.trusted(&stat)) {
            Ok(()) => Ok(Some(directory)),
            Err(reason) => Err((Fault::whole(reason), Some(directory))),
        }
    }

    /// Opens declarative.d, which NixOS may make a link into the store.
    pub(super) fn declarative_directory(&self) -> Opened {
        let path = self.root.join(DECLARATIVE_DIRECTORY.trim_start_matches('/'));
        let is_link =
            lstat(&path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        match self.directory(DECLARATIVE_DIRECTORY) {
            Err((_, listed)) if is_link => match self.in_store(DECLARATIVE_DIRECTORY, OFlags::DIRECTORY) {
                Ok(directory) => self.believed(directory),
                Err(fault) => Err((fault, listed)),
            },
            opened => opened,
        }
    }

    /// Opens a link whose final target is in /nix/store, as NixOS fills /etc.
    fn in_store(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Fault> {
        let fault = |reason: String| Fault::whole(reason);
        let unresolved = |error: Errno| {
            fault(format!(
                "is a link that cannot be followed ({}); is /nix/store mounted?",
                io::Error::from(error)
            ))
        };
        let root =
            openat(CWD, self.root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(unresolved)?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = path.trim_start_matches('/');
        // Checked before it is opened: it may lead to a device, or to a server that does not answer.
        let look = OFlags::PATH | OFlags::CLOEXEC | flags;
        let file = open_resolved(&root, path, look, resolve).map_err(unresolved)?;
        let at = |fd: &OwnedFd| link_of(fd).map_err(unresolved);
        let (below, target) = (at(&root)?, at(&file)?);
        let target = target.strip_prefix(below.trim_end_matches('/')).unwrap_or(&target).to_owned();
        if !target.starts_with(STORE) {
            return Err(fault(format!("is a link to '{}', which is not in /nix/store", shown(&target))));
        }
        let kind = fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode)).map_err(unresolved)?;
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Err(fault("leads to something that is not a regular file".to_owned()));
        }
        openat(CWD, own_link(&file), READ | flags, Mode::empty()).map_err(unresolved)
    }

    /// Fails unless it belongs to root, and others cannot write to it.
    fn trusted(&self, stat: &Stat) -> Result<(), String> {
        if !self.trust.owner(stat.st_uid) {
            return Err(format!("belongs to user {}, not to root", stat.st_uid));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(format!(
                "is writable by others (mode {:04o}), must be 0644 or 0755",
                stat.st_mode & 0o7777
            ));
        }
        Ok(())
    }

    /// Reads a regular file in `directory`, of at most `most` bytes, into `bytes`.
    pub(super) fn file(
        &self,
        directory: impl AsFd,
        name: &str,
        path: &str,
        most: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let fault = |reason: String| Unreadable::Fault(Fault::whole(reason));
        let fd = match openat(&directory, name, READ | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(Unreadable::Missing),
            // How NixOS fills /etc.
            Err(Errno::LOOP) if path.starts_with(DECLARATIVE_DIRECTORY) || path == HOST_FILE => {
                self.in_store(path, OFlags::empty()).map_err(Unreadable::Fault)?
            }
            Err(Errno::LOOP) => return Err(fault("is a symbolic link, must be a regular file".to_owned())),
            // A socket, or a device without a driver.
            Err(Errno::NXIO | Errno::NODEV) => return Err(fault("is not a regular file".to_owned())),
            Err(error) => return Err(fault(format!("cannot be read: {}", io::Error::from(error)))),
        };
        let stat =
            fstat(&fd).map_err(|error| fault(format!("cannot be inspected: {}", io::Error::from(error))))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(fault("is not a regular file".to_owned()));
        }
        self.trusted(&stat).map_err(fault)?;
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > MAX_SIZE {
            return Err(fault(format!("is larger than {} KiB", MAX_SIZE / 1024)));
        }
        if size > most {
            return Err(Unreadable::Large);
        }
        read_whole(&fd, size, bytes)
            .map_err(|error| fault(format!("cannot be read: {}", io::Error::from(error))))
    }
}

/// Returns the kernel's link to an open file.
fn own_link(fd: &OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Reads a regular file of about `size` bytes, up to one byte more than is accepted, into `bytes`.
fn read_whole(fd: &OwnedFd, size: usize, bytes: &mut Vec<u8>) -> Result<(), Errno> {
    bytes.clear();
    bytes.reserve(size + 1);
    while bytes.len() <= MAX_SIZE {
        bytes.reserve(1);
        let room = bytes.capacity() - bytes.len();
        match read(fd, spare_capacity(bytes)) {
            // A short read of a regular file is the end.
            Ok(count) if count < room => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns where an open file is now, according to the kernel.
fn link_of(fd: &OwnedFd) -> Result<String, Errno> {
    let link = readlinkat(CWD, own_link(fd), Vec::new())?;
    Ok(link.to_string_lossy().into_owned())
}
