//! Debian's kernel for clouds, unpacked below `target/vm`, and the initial file system with which it mounts ext4 or btrfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::cpio::Archive;
use crate::host::{Timeout, run};

/// The suite that the kernel is taken from, whatever the suite of the host.
const SUITE: &str = "forky";

/// The time limit for a download.
const LONG: Duration = Duration::from_secs(900);

/// A kernel.
pub(super) struct Kernel {
    /// The directory of its modules, which also contains the kernel itself.
    modules: PathBuf,
    version: String,
}

/// Returns the directory of everything about virtual machines.
pub(super) fn vm_dir() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vm");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    dir.canonicalize().expect("just made")
}

impl Kernel {
    /// Returns the kernel; downloads it if it is not there.
    pub(super) fn get() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock().expect("no panic while held");
        let dir = vm_dir().join("kernel");
        if !dir.exists() {
            let unfinished = vm_dir().join(format!("kernel-{}", std::process::id()));
            let mut command = Command::new("mmdebstrap");
            // The packages are unpacked without running their scripts.
            command.args(["--quiet", "--variant=extract", "--include=linux-image-cloud-amd64"]);
            command.args([r#"--aptopt=Acquire::Retries "5""#, r#"--aptopt=APT::Install-Recommends "false""#]);
            command.arg(r#"--aptopt=Acquire::Check-Valid-Until "false""#).arg(SUITE).arg(&unfinished);
            let output = run(&mut command, None, Timeout::after(LONG));
            assert!(output.success(), "no kernel for the virtual machines: {output}");
            fs::rename(&unfinished, &dir).expect("rename of the kernel");
        }
        let all = dir.join("usr/lib/modules");
        let mut versions = fs::read_dir(&all).unwrap_or_else(|e| panic!("{}: {e}", all.display())).flatten();
        let entry = versions.next().expect("one version");
        Self { modules: entry.path(), version: entry.file_name().to_string_lossy().into_owned() }
    }

    /// Returns the file that is booted.
    pub(super) fn image(&self) -> PathBuf {
        self.modules.join("vmlinuz")
    }

    /// Copies the modules to a tree and indexes them.
    pub(super) fn install(&self, tree: &Path) {
        let to = tree.join("usr/lib/modules");
        fs::create_dir_all(&to).expect("a tree");
        let copied = Command::new("cp").arg("-a").arg(&self.modules).arg(&to).status().expect("cp");
        assert!(copied.success(), "the modules cannot be copied");
        let indexed = Command::new("chroot").arg(tree).args(["depmod", &self.version]).status();
        assert!(indexed.expect("chroot").success(), "depmod fails");
        for file in ["vmlinuz", "System.map"] {
            fs::remove_file(to.join(&self.version).join(file)).expect("a file of the kernel");
        }
    }

    /// Returns the initial file system, made of busybox of a tree and the modules for the disk and for btrfs.
    pub(super) fn initial(&self, tree: &Path) -> Vec<u8> {
        let folder = tree.join("usr/lib/modules").join(&self.version);
        let index = fs::read_to_string(folder.join("modules.dep")).expect("depmod has run");
        let mut archive = Archive::default();
        for directory in ["bin", "dev", "proc", "root", "disk", "btrfs"] {
            archive.directory(directory);
        }
        archive.file("bin/busybox", &fs::read(tree.join("usr/bin/busybox")).expect("busybox-static"));
        for (to, name) in [("disk", "/virtio_blk.ko"), ("btrfs", "/btrfs.ko")] {
            let line =
                index.lines().find(|line| line.split(':').next().is_some_and(|path| path.contains(name)));
            let (module, needed) =
                line.and_then(|line| line.split_once(':')).expect("a module of the kernel");
            // What a module needs stands behind it, and is loaded before it.
            for (at, module) in needed.split_whitespace().rev().chain([module]).enumerate() {
                let output = Command::new("xz").arg("-dc").arg(folder.join(module)).output().expect("xz");
                assert!(output.status.success(), "{module} cannot be unpacked");
                archive.file(&format!("{to}/{at:02}.ko"), &output.stdout);
            }
        }
        archive.file("init", include_bytes!("init.sh"));
        archive.finish()
    }
}
