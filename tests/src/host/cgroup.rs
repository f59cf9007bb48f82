//! The control group of a throwaway host. It is below the machine's root cgroup and contains every process of the host,
//! so that one write kills all of them, even if the test program no longer exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The cgroup of a host, with a child for the commands that enter the host.
pub(super) struct Cgroup {
    name: String,
}

impl Cgroup {
    /// Returns the cgroup of the host `name`, without making it.
    pub(super) fn named(name: &str) -> Self {
        Self { name: format!("nixos-nspawn-{name}") }
    }

    fn dir(&self) -> PathBuf {
        unified().join(&self.name)
    }

    fn entered(&self) -> PathBuf {
        self.dir().join("entered")
    }

    /// Makes it.
    pub(super) fn make(&self) {
        let dir = self.entered();
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
    }

    /// Returns the file that takes the id of the process that becomes the host.
    pub(super) fn procs(&self) -> PathBuf {
        self.dir().join("cgroup.procs")
    }

    /// Returns the file that takes the ids of processes that enter the host.
    pub(super) fn entered_procs(&self) -> PathBuf {
        self.entered().join("cgroup.procs")
    }

    /// Returns the file that kills everything in the cgroup.
    pub(super) fn kill_file(&self) -> PathBuf {
        self.dir().join("cgroup.kill")
    }

    /// Kills the processes that entered the host. They would keep its PID namespace alive: systemd-shutdown first stops
    /// everything with SIGSTOP, and an `nsenter` whose child is stopped stops itself, out of systemd-shutdown's reach.
    pub(super) fn kill_entered(&self) {
        kill(&self.entered());
        remove_tree(&self.entered());
        self.make();
    }

    /// Kills everything in the cgroup, waits, and removes it, also where nspawn mirrors it on machines with both cgroup
    /// versions. A killed cgroup must not be used again: processes forked into it later die as well.
    pub(super) fn remove(&self) {
        kill(&self.dir());
        for hierarchy in [unified(), PathBuf::from("/sys/fs/cgroup/systemd")] {
            remove_tree(&hierarchy.join(&self.name));
        }
    }
}

fn kill(dir: &Path) {
    if !dir.exists() {
        return;
    }
    let _ = fs::write(dir.join("cgroup.kill"), "1");
    let end = Instant::now() + Duration::from_secs(10);
    let populated =
        || fs::read_to_string(dir.join("cgroup.events")).is_ok_and(|text| text.contains("populated 1"));
    while populated() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the mount point of the cgroup file system, version 2.
fn unified() -> PathBuf {
    let mixed = PathBuf::from("/sys/fs/cgroup/unified");
    let root = if mixed.join("cgroup.procs").exists() { mixed } else { PathBuf::from("/sys/fs/cgroup") };
    assert!(
        root.join("cgroup.controllers").exists(),
        "{}: no cgroups of version 2 on this machine, hosts cannot be booted",
        root.display()
    );
    root
}

/// Removes cgroups directory by directory, because their files cannot be removed.
fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}
