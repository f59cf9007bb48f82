//! The control groups a throwaway host runs in, and their end.
//!
//! In: a host's name. Out: a cgroup below the machine's root cgroup that holds every process of the host, so that one
//! write kills all of them, also those of a host whose test program is long gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A cgroup of our own, with one below it for the commands that were sent into the host.
pub(super) struct Cgroup {
    name: String,
}

impl Cgroup {
    /// The cgroup of the host `name`; nothing is made yet.
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

    /// The file that takes the id of the process that is to become the host.
    pub(super) fn procs(&self) -> PathBuf {
        self.dir().join("cgroup.procs")
    }

    /// The file that takes the ids of processes that enter the host.
    pub(super) fn entered_procs(&self) -> PathBuf {
        self.entered().join("cgroup.procs")
    }

    /// The file that kills everything in it.
    pub(super) fn kill_file(&self) -> PathBuf {
        self.dir().join("cgroup.kill")
    }

    /// Kills the processes that entered the host. They would keep its PID namespace alive: systemd-shutdown stops
    /// everything with SIGSTOP first, and an `nsenter` whose child is stopped stops itself and is outside of its reach.
    pub(super) fn kill_entered(&self) {
        kill(&self.entered());
        remove_tree(&self.entered());
        self.make();
    }

    /// Kills everything in it, waits for that and removes it, here and where nspawn mirrors it on machines with cgroups
    /// of both kinds. A cgroup that was killed is not to be used again: processes forked into it later die as well.
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

/// Where the cgroup file system of version 2 is mounted.
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

/// Control groups are removed folder by folder, the files in them cannot be.
fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}
