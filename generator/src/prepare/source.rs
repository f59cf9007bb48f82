//! Opens the source of a bind mount. A path is resolved once, and nspawn mounts what was opened. Symbolic links are
//! followed only if nobody but the host's root can have made them (docs/decisions/bind-sources.md). Only the last
//! component of a missing source is created: if a disk is not mounted yet, a database must not initialise itself on the
//! root file system. Nothing is created below /dev.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::resolve::open_resolved;
use rustix::fd::AsRawFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat, readlinkat};
use rustix::io::Errno;

use crate::prepare::exposed::Exposed;

/// Why a source cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// What is wrong.
    pub(crate) reason: String,
    /// What to do, beginning with `; `.
    pub(crate) next: &'static str,
}

impl From<Errno> for Unusable {
    fn from(error: Errno) -> Self {
        Self { reason: io::Error::from(error).to_string(), next: "" }
    }
}

/// The maximum number of links in a path, as in the kernel.
const MOST_LINKS: usize = 40;

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Opens a source. If it is missing, it is created: for everybody if `public`, otherwise for root only, unless it is in a
/// directory that others cannot enter.
pub(crate) fn open(root: &Path, source: &str, public: bool, exposed: &Exposed) -> Result<OwnedFd, Unusable> {
    let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // Nearly all paths contain no link. Opening one as a directory triggers an automount.
    let path = source.trim_start_matches('/');
    for kind in [OFlags::DIRECTORY, OFlags::empty()] {
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        if let Ok(found) = open_resolved(&root, path, OFlags::PATH | OFlags::CLOEXEC | kind, resolve) {
            return Ok(found);
        }
    }
    let mut walk = Walk { root, above: Vec::new(), exposed };
    walk.to(source, public)
}

/// A walk along a path: the directories from the root to the current one.
struct Walk<'a> {
    root: OwnedFd,
    above: Vec<(OwnedFd, Stat)>,
    exposed: &'a Exposed<'a>,
}

impl Walk<'_> {
    fn to(&mut self, source: &str, public: bool) -> Result<OwnedFd, Unusable> {
        let parts = |path: &str| -> Vec<String> {
            path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
        };
        let mut left: VecDeque<String> = parts(source).into();
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                self.above.pop();
                continue;
            }
            let found = match self.enter(&part) {
                Err(Errno::NOENT) if left.is_empty() => {
                    self.create(&part, source, public)?;
                    self.enter(&part)
                }
                Err(Errno::NOENT) => {
                    return Err(Unusable {
                        reason: "bind mount source and its parent directory do not exist".to_owned(),
                        next: "; create them, or mount what belongs there",
                    });
                }
                found => found,
            }?;
            let stat = fstat(&found)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                self.above.push((found, stat));
                continue;
            }
            self.trust(&part, &stat)?;
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            let target = readlinkat(&found, c"", Vec::new())?.into_string().map_err(|_| Errno::ILSEQ)?;
            if target.starts_with('/') {
                self.above.clear();
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        }
        match self.above.pop() {
            Some((found, _)) => Ok(found),
            None => Ok(openat(&self.root, c".", PATH, Mode::empty())?),
        }
    }

    fn here(&self) -> &OwnedFd {
        self.above.last().map_or(&self.root, |(directory, _)| directory)
    }

    /// Opens a component without following it.
    fn enter(&self, part: &str) -> Result<OwnedFd, Errno> {
        match openat(self.here(), part, PATH | OFlags::DIRECTORY, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => openat(self.here(), part, PATH, Mode::empty()),
            opened => opened,
        }
    }

    /// Creates the last component.
    fn create(&self, part: &str, source: &str, public: bool) -> Result<(), Unusable> {
        // A directory would be in the way of the device when it appears.
        if source.starts_with("/dev/") && !source.starts_with("/dev/shm/") {
            return Err(Unusable {
                reason: "there is no such device on the host".to_owned(),
                next: "; connect it or load its module",
            });
        }
        // Otherwise a user of the host could run a setuid program that root in a container has made there.
        let closed = self.above.iter().any(|(_, stat)| stat.st_uid == 0 && stat.st_mode & 0o011 == 0);
        let mode = if public || closed { 0o755 } else { 0o700 };
        match mkdirat(self.here(), part, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => {
                Err(Unusable { reason: format!("cannot be created: {}", io::Error::from(error)), next: "" })
            }
        }
    }

    /// Fails unless only the host's root can have made this link in the current directory.
    fn trust(&self, part: &str, link: &Stat) -> Result<(), Unusable> {
        let mut why = None;
        if link.st_uid != 0 {
            why = Some(format!("belongs to user {}", link.st_uid));
        }
        let top = fstat(&self.root)?;
        let above = self.above.iter().map(|(directory, stat)| (directory, stat));
        for (directory, stat) in std::iter::once((&self.root, &top)).chain(above) {
            // In a sticky directory, others cannot replace what is root's.
            if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 && stat.st_mode & 0o1000 == 0 {
                why.get_or_insert_with(|| format!("users of the host can replace in {}", shown(directory)));
            }
            match self.exposed.contains(stat) {
                Ok(false) => {}
                Ok(true) => {
                    why.get_or_insert_with(|| format!("a container can replace in {}", shown(directory)));
                }
                Err(error) => {
                    why.get_or_insert_with(|| format!("a container may be able to replace ({error})"));
                }
            }
        }
        let Some(why) = why else { return Ok(()) };
        let at = shown(self.here());
        Err(Unusable {
            reason: format!(
                "leads through the symbolic link {}/{part}, which {why}",
                at.trim_end_matches('/')
            ),
            next: "; use a path without this link",
        })
    }
}

/// Returns the path of an open file, if the kernel knows one.
pub(crate) fn path_of(found: &OwnedFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

fn shown(directory: &OwnedFd) -> String {
    path_of(directory).map(|path| path.display().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
