//! Read-only mounts that nobody can make writable. When a mount namespace is created together with a user namespace, the
//! kernel locks the flags of the mounts it inherits (`mount_namespaces(7)`), and a clone of a locked mount stays locked
//! wherever it is mounted. A child therefore clones the paths in namespaces of its own, and the parent mounts the clones.
//! It takes a child because a process cannot return from a user namespace.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, StatVfsMountFlags, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_bind_recursive, mount_change,
    mount_remount, move_mount, open_tree,
};
use rustix::thread::UnshareFlags;

use crate::failure::Failure;
use crate::prepare::mounts::Mounts;

/// A read-only mount to make.
pub(crate) struct Lock {
    /// The path to mount; equal to the place if that is already mounted.
    pub(crate) path: PathBuf,
    /// Where it is mounted.
    pub(crate) place: PathBuf,
    /// Whether later mounts of the host below the path appear there as well.
    pub(crate) follows: bool,
}

/// The prefix of a path for the child if [`Lock::follows`].
const FOLLOWS: &str = "follows:";

/// Mounts everything read-only and locked.
pub(crate) fn lock(locks: &[&Lock]) -> io::Result<()> {
    let word = |lock: &&Lock| {
        let mut word = OsString::from(if lock.follows { FOLLOWS } else { "" });
        word.push(&lock.path);
        word
    };
    let mut child = Command::new("/proc/self/exe")
        .arg("--lock-mounts")
        .args(locks.iter().map(word))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let taken = take(&mut child, locks);
    // The child exits at the end of its input.
    drop(child.stdin.take());
    child.wait()?;
    taken
}

fn take(child: &mut Child, locks: &[&Lock]) -> io::Result<()> {
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let clones: Result<Vec<u32>, _> = line.split_whitespace().map(str::parse).collect();
    let Some(clones) = clones.ok().filter(|clones| clones.len() == locks.len()) else {
        return Err(io::Error::other(line.trim().to_owned()));
    };
    for (clone, lock) in clones.iter().zip(locks) {
        let clone = format!("/proc/{}/fd/{clone}", child.id());
        move_mount(CWD, clone, CWD, &lock.place, MoveMountFlags::MOVE_MOUNT_F_SYMLINKS)?;
        if lock.follows {
            mount_change(&lock.place, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        }
    }
    Ok(())
}

/// Runs as the child: clones the paths, prints the numbers of the descriptors or an error, and keeps them open until its
/// standard input ends.
pub(crate) fn hold(words: &[PathBuf]) -> Result<(), Failure> {
    let mut said = match cloned(words) {
        Ok(clones) => {
            let numbers: Vec<String> = clones.iter().map(|clone| clone.as_raw_fd().to_string()).collect();
            print(&numbers.join(" ")).map(|()| clones)
        }
        Err(error) => print(&error.to_string()).map(|()| Vec::new()),
    };
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    said.as_mut().map(Vec::clear).map_err(|error| Failure::new(format!("standard output: {error}")))
}

fn print(line: &str) -> io::Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{line}")?;
    output.flush()
}

fn cloned(words: &[PathBuf]) -> io::Result<Vec<OwnedFd>> {
    let follows = |word: &Path| Some(PathBuf::from(word.to_str()?.strip_prefix(FOLLOWS)?));
    let paths: Vec<PathBuf> =
        words.iter().map(|word| follows(word).unwrap_or_else(|| word.clone())).collect();
    // Mounts made from here on are visible in this process only.
    unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    for (path, word) in paths.iter().zip(words) {
        mount_bind_recursive(path, path)?;
        if path == word {
            mount_change(path, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        }
        read_only(path)?;
    }
    let mounts = Mounts::read(Path::new("/"))?;
    for below in paths.iter().flat_map(|path| mounts.below(path)) {
        read_only(below)?;
    }
    // Here the flags are locked.
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    paths.iter().map(|path| Ok(open_tree(CWD, path, flags)?)).collect()
}

/// Makes a bind mount read-only and keeps its other flags.
pub(crate) fn read_only(path: &Path) -> io::Result<()> {
    let now = statvfs(path)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (set, flag) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        flags.set(flag, now.contains(set));
    }
    Ok(mount_remount(path, flags, c"")?)
}

/// Calls `unshare(2)`. rustix deprecates the safe function because of `UnshareFlags::FILES`, which is not used here.
#[allow(deprecated)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}
