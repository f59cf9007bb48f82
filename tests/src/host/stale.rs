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

/// Returns the directory of all hosts.
pub(super) fn runs_dir() -> PathBuf {
    let dir = hosts_dir().join("run");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
    dir.canonicalize().expect("just made")
}

/// Makes the directory of a new host, which is in use while the returned file is open.
pub(super) fn claim(dir: &Path) -> File {
    // The lock comes first: a directory without one counts as unused.
    let lock = File::create(lock_of(dir)).expect("lock file");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("the name is new");
    fs::create_dir_all(dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
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
    if fs::remove_dir_all(dir).is_err() && dir.exists() {
        // A container's /var/empty is immutable.
        let mut chattr = Command::new("chattr");
        run(chattr.args(["-R", "-f", "-i"]).arg(dir), None, Timeout::after(Duration::from_secs(60)));
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
