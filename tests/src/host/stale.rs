//! Directories of throwaway hosts. A directory is locked while its host is in use; those that nobody has locked are
//! removed, with everything that still runs there.

use super::cgroup::Cgroup;
use super::command::{Timeout, run};
use super::tree::hosts_dir;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

/// How long mount and umount may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the directory of all hosts.
pub(super) fn runs_dir() -> PathBuf {
    let dir = hosts_dir().join("run");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
    dir.canonicalize().expect("just made")
}

/// Where the files of a host are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file system in memory. The hosts of tests come and go so fast that ext4 would search for inodes that have not just
    /// been freed for a tenth of the time.
    Memory,
    /// On the disk of this machine.
    Disk,
}

/// Makes the directory of a new host, which is in use while the returned file is open.
pub(super) fn claim(dir: &Path, place: Place) -> File {
    // The lock comes first: a directory without one counts as unused.
    let lock = File::create(lock_of(dir)).expect("lock file");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("the name is new");
    fs::create_dir_all(dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
    if place == Place::Memory {
        // A host needs less than 200 MiB.
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "mode=0755,size=4G", "host"]).arg(dir);
        let mounted = run(&mut mount, None, Timeout::after(PATIENCE));
        assert!(mounted.success(), "no file system for a host: {mounted}");
    }
    lock
}

/// Removes hosts left by earlier, killed runs. Once per process.
pub(super) fn clean() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        for entry in fs::read_dir(runs_dir()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "lock") {
                let free = File::open(&path)
                    .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
                if free {
                    let dir = path.with_extension("");
                    eprintln!("removing a host that an earlier run left: {}", dir.display());
                    Cgroup::named(&dir.file_name().unwrap_or_default().to_string_lossy()).remove();
                    remove_dir(&dir);
                }
            }
        }
    });
}

/// Removes a host's directory, including immutable files, and its lock file.
pub(super) fn remove_dir(dir: &Path) {
    // It is a mount point if the host was in memory, which something may still be about to leave.
    let mut umount = Command::new("umount");
    let _ = run(umount.args(["--quiet", "--lazy"]).arg(dir), None, Timeout::after(PATIENCE));
    if fs::remove_dir_all(dir).is_err() && dir.exists() {
        // A container's /var/empty is immutable.
        let mut chattr = Command::new("chattr");
        run(chattr.args(["-R", "-f", "-i"]).arg(dir), None, Timeout::after(PATIENCE));
        if let Err(error) = fs::remove_dir_all(dir) {
            eprintln!("{}: cannot be removed: {error}", dir.display());
            return;
        }
    }
    let _ = fs::remove_file(lock_of(dir));
}

fn lock_of(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
