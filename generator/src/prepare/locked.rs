//! Read-only mounts that nobody can make writable. When a mount namespace is created together with a user namespace, the
//! kernel locks the flags of the mounts it inherits (`mount_namespaces(7)`), and a clone of a locked mount stays locked
//! wherever it is mounted. A child therefore clones the paths in namespaces of its own, and the parent mounts the clones.
//! It takes a child because a process cannot return from a user namespace.

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

/// Mounts the first path of each pair at the second one, read-only and locked.
pub(crate) fn lock(mounts: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    let mut child = Command::new("/proc/self/exe")
        .arg("--lock-mounts")
        .args(mounts.iter().map(|(path, _)| path))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let taken = take(&mut child, mounts);
    // The child exits at the end of its input.
    drop(child.stdin.take());
    child.wait()?;
    taken
}

fn take(child: &mut Child, mounts: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let clones: Result<Vec<u32>, _> = line.split_whitespace().map(str::parse).collect();
    let Some(clones) = clones.ok().filter(|clones| clones.len() == mounts.len()) else {
        return Err(io::Error::other(line.trim().to_owned()));
    };
    for (clone, (_, place)) in clones.iter().zip(mounts) {
        let clone = format!("/proc/{}/fd/{clone}", child.id());
        move_mount(CWD, clone, CWD, place, MoveMountFlags::MOVE_MOUNT_F_SYMLINKS)?;
    }
    Ok(())
}

/// Runs as the child: clones the paths, prints the numbers of the descriptors or an error, and keeps them open until its
/// standard input ends.
pub(crate) fn hold(paths: &[PathBuf]) -> Result<(), Failure> {
    let mut said = match cloned(paths) {
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

fn cloned(paths: &[PathBuf]) -> io::Result<Vec<OwnedFd>> {
    // Nobody else sees what is mounted from here on.
    unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    for path in paths {
        mount_bind_recursive(path, path)?;
        read_only(path)?;
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
