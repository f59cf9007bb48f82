//! Btrfs subvolumes, by btrfs(8). A container can make subvolumes in its own, which a plain snapshot leaves out, so
//! everything here includes them.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, statfs};

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::host::files::{SYSTEM_FOLDERS, which};

/// `BTRFS_SUPER_MAGIC` (statfs(2)).
const BTRFS: i64 = 0x9123_683e;

/// The inode of the root of each subvolume, `BTRFS_FIRST_FREE_OBJECTID`.
const SUBVOLUME: u64 = 256;

/// Other file systems by their numbers (statfs(2)), for messages.
const FILE_SYSTEMS: [(i64, &str); 6] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x0102_1994, "tmpfs"),
    (0x794c_7630, "overlay"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
];

/// The installed btrfs(8).
pub(crate) struct Btrfs<'a> {
    host: &'a Host,
    program: PathBuf,
}

/// A subvolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subvolume {
    /// Its UUID, which no other subvolume has.
    pub(crate) uuid: String,
    /// The UUID of the subvolume that it is a snapshot of.
    pub(crate) parent: Option<String>,
    /// Whether nothing in it can be changed.
    pub(crate) read_only: bool,
    /// Its path in the file system.
    path: String,
}

/// Returns why a path is not on btrfs, if it is not.
pub(crate) fn not_btrfs(path: &Path) -> Result<Option<String>> {
    let found = statfs(path).with_context(|| path.display().to_string())?;
    let number = found.f_type as i64;
    if number == BTRFS {
        return Ok(None);
    }
    let name = FILE_SYSTEMS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    Ok(Some(name.map_or_else(|| "is not on btrfs".to_owned(), |name| format!("is on {name}, not on btrfs"))))
}

/// Returns whether a path, which must be on btrfs, is a subvolume.
pub(crate) fn is_subvolume(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.ino() == SUBVOLUME)
}

impl<'a> Btrfs<'a> {
    /// Finds the program.
    pub(crate) fn find(host: &'a Host) -> Result<Self> {
        match which("btrfs", &SYSTEM_FOLDERS) {
            Some(program) => Ok(Self { host, program }),
            None => unchanged("btrfs: not found", "install btrfs-progs, which makes snapshots"),
        }
    }

    /// Returns the subvolume at a path, or `None` if there is none.
    pub(crate) fn show(&self, path: &Path) -> Result<Option<Subvolume>> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() && found.ino() == SUBVOLUME => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
        let answer = self.call(&["show"]).arg(path).output()?;
        let unexpected =
            || Failed::Program(format!("btrfs subvolume show {}: unexpected answer", path.display()));
        Ok(Some(shown(&answer).ok_or_else(unexpected)?))
    }

    /// Creates a subvolume.
    pub(crate) fn create(&self, path: &Path) -> Result<()> {
        self.call(&["create"]).arg(path).output().map(drop)
    }

    /// Makes a writable snapshot of a subvolume, with the subvolumes in it.
    pub(crate) fn snapshot(&self, from: &Path, to: &Path) -> Result<()> {
        self.call(&["snapshot"]).arg(from).arg(to).output()?;
        for inner in self.nested(from)? {
            let place = to.join(&inner);
            // The snapshot has an empty directory in its place.
            fs::remove_dir(&place).with_context(|| place.display().to_string())?;
            let source = open_inside(from, &inner)?;
            self.call(&["snapshot"]).arg(by_descriptor(&source)).arg(&place).output()?;
        }
        Ok(())
    }

    /// Makes a subvolume, and those in it, read-only or writable. If that was interrupted, the outer one is read-only.
    pub(crate) fn set_read_only(&self, path: &Path, read_only: bool) -> Result<()> {
        let value = if read_only { "true" } else { "false" };
        let set = |path: &Path| {
            let words = ["property", "set", "-t", "subvol"];
            let call = self.host.program(&self.program).args(words).arg(path).args(["ro", value]);
            call.output().map(drop)
        };
        if read_only {
            set(path)?;
        }
        for inner in self.nested(path)? {
            set(&by_descriptor(&open_inside(path, &inner)?))?;
        }
        if read_only { Ok(()) } else { set(path) }
    }

    /// Deletes a subvolume and those in it. Deletes nothing else.
    pub(crate) fn delete(&self, path: &Path) -> Result<()> {
        let nested = self.nested(path)?;
        if !nested.is_empty() {
            self.set_read_only(path, false)?;
        }
        let inner = nested.iter().rev().map(|inner| path.join(inner));
        for subvolume in inner.chain([path.to_owned()]) {
            self.call(&["delete"]).arg(&subvolume).output()?;
        }
        Ok(())
    }

    /// Returns the relative paths of the subvolumes in a subvolume, each after the one that contains it.
    fn nested(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let Some(top) = self.show(path)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut due = VecDeque::from([PathBuf::new()]);
        while let Some(outer) = due.pop_front() {
            let opened = open_inside(path, &outer)?;
            let answer = self.call(&["list", "-o"]).arg(by_descriptor(&opened)).output()?;
            for line in answer.lines() {
                let unexpected =
                    || Failed::Program(format!("btrfs subvolume list: unexpected line '{line}'"));
                let inner = listed(line, &top.path).ok_or_else(unexpected)?;
                due.push_back(inner.clone());
                found.push(inner);
            }
        }
        Ok(found)
    }

    fn call(&self, words: &[&str]) -> crate::base::program::Program<'_> {
        self.host.program(&self.program).arg("subvolume").args(words)
    }
}

/// Opens a directory below a root that a container has written.
fn open_inside(root: &Path, inner: &Path) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let cannot = || root.join(inner).display().to_string();
    let root = openat(CWD, root, flags, Mode::empty()).with_context(cannot)?;
    if inner.as_os_str().is_empty() {
        return Ok(root);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    open_resolved(&root, inner, flags, resolve).with_context(cannot)
}

/// Returns a path by which a program that we start reaches what we have opened.
fn by_descriptor(file: &OwnedFd) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// Parses the answer of `btrfs subvolume show`.
fn shown(answer: &str) -> Option<Subvolume> {
    let value = |key: &str| {
        let line = answer.lines().find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    };
    let uuid = value("UUID").filter(|uuid| is_uuid(uuid))?;
    let parent = value("Parent UUID").filter(|uuid| is_uuid(uuid));
    let read_only = value("Flags").is_some_and(|flags| flags.contains("readonly"));
    Some(Subvolume { uuid, parent, read_only, path: answer.lines().next()?.to_owned() })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Returns the path of a subvolume relative to the one at `top`, from a line such as
/// `ID 257 gen 7 top level 256 path machines/web/srv`.
fn listed(line: &str, top: &str) -> Option<PathBuf> {
    let path = line.strip_prefix("ID ")?.split_once(" path ")?.1;
    let inner = match top {
        // The top of the file system.
        "/" | "<FS_TREE>" => path,
        _ => path.strip_prefix(top)?.strip_prefix('/')?,
    };
    let plain = inner.split('/').all(|part| !matches!(part, "" | "." | ".."));
    plain.then(|| inner.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_btrfs() {
        let answer = "lib/machines/web\n\tName: \t\t\tweb\n\tUUID: \t\t\t6a1159dc-683c-f941-8227-a95c6f9b696c\n\tParent UUID: \t\t-\n\tReceived UUID: \t\t-\n";
        let found = shown(answer).unwrap();
        assert_eq!((found.uuid.as_str(), &found.parent), ("6a1159dc-683c-f941-8227-a95c6f9b696c", &None));
        assert_eq!(found.path, "lib/machines/web");
        let copy =
            answer.replace("Parent UUID: \t\t-", "Parent UUID: \t\ta89bca8f-9d0d-2548-a88a-962e9e84f1c5");
        assert_eq!(shown(&copy).unwrap().parent.as_deref(), Some("a89bca8f-9d0d-2548-a88a-962e9e84f1c5"));
        let locked = answer.to_owned() + "\tFlags: \t\t\treadonly\n";
        assert!(!found.read_only && shown(&locked).unwrap().read_only);
        assert_eq!(shown("ERROR"), None);
    }

    #[test]
    fn lines_of_the_list() {
        let line = |path: &str| format!("ID 258 gen 7 top level 256 path {path}");
        let found = |path: &str| listed(&line(path), "lib/machines/web");
        assert_eq!(found("lib/machines/web/var/deep er"), Some("var/deep er".into()));
        for wrong in ["lib/machines/web/../db", "lib/machines/web2/srv", "lib/machines/web/", "other"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        // A name with a line break.
        assert_eq!(listed("rest of a name", "lib/machines/web"), None);
        assert_eq!(listed(&line("web"), "<FS_TREE>"), Some("web".into()));
    }
}
