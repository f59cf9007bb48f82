//! Disk images with a host: Debian, a kernel's modules, the programs under test, and the agent that runs commands.

use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::kernel::{Kernel, vm_dir};
use crate::host::{FLAKE, Suite, Timeout, bins, machine_tree, run};

/// The size of a disk; only what is used takes space.
const SIZE: u64 = 4 << 30;

/// The target of a boot that starts only what power cuts need.
pub(super) const SMALL: &str = "vm-small.target";

/// A file system under test, with the whole host on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4.
    Ext4,
    /// btrfs.
    Btrfs,
}

impl FileSystem {
    /// Both file systems.
    pub const ALL: [Self; 2] = [Self::Ext4, Self::Btrfs];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Btrfs => "btrfs",
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// An image, which is deleted when it is dropped.
pub struct Image {
    dir: TempDir,
    /// The suite of the host.
    pub suite: Suite,
    /// The file system on the disk.
    pub file_system: FileSystem,
    kernel: Kernel,
}

impl Image {
    /// Makes an image with these containers in the test flake, which are built already.
    pub fn make(suite: Suite, file_system: FileSystem, containers: &str) -> Self {
        let (tree, kernel) = (machine_tree(suite), Kernel::get());
        remove_abandoned();
        let prefix = format!("{suite}-{file_system}-{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(vm_dir()).expect("a folder");
        let work = dir.path().join("tree");
        shell(&["cp -a \"$0\" \"$1\"", &text(&tree), &text(&work)]);
        kernel.install(&work);
        fs::write(dir.path().join("initial"), kernel.initial(&work)).expect("writable");
        fill(&work, containers);
        let image = Self { dir, suite, file_system, kernel };
        let disk = image.disk();
        fs::File::create(&disk).and_then(|file| file.set_len(SIZE)).expect("a disk");
        let script = match file_system {
            FileSystem::Ext4 => r#"mke2fs -q -t ext4 -d "$0" "$1""#,
            FileSystem::Btrfs => r#"mkfs.btrfs -q --rootdir "$0" "$1""#,
        };
        shell(&[script, &text(&work), &text(&disk)]);
        fs::remove_dir_all(&work).expect("own folder");
        image
    }

    /// Returns the directory of the image's files.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the disk that has never been booted.
    pub(super) fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Returns the initial file system.
    pub(super) fn initial(&self) -> PathBuf {
        self.dir.path().join("initial")
    }

    /// Returns the kernel.
    pub(super) fn kernel(&self) -> PathBuf {
        self.kernel.image()
    }
}

/// Removes images of killed runs, which have the process in their names.
fn remove_abandoned() {
    for entry in fs::read_dir(vm_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.split('-').nth(2).and_then(|word| word.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Puts everything of ours into a tree.
fn fill(work: &Path, containers: &str) {
    let at = |path: &str| {
        let path = work.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("below the tree")).expect("a tree");
        path
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bins = bins();
    for (from, to) in [
        (&bins.ctl, "/usr/local/bin/nixos-nspawn-ctl"),
        (&bins.generator, "/usr/local/lib/systemd/system-generators/nixos-nspawn-generator"),
        (&bins.generator, "/usr/local/libexec/nixos-nspawn/unit-helper"),
        (&workspace.join("examples/debian/container.nix"), &format!("{FLAKE}/container.nix")),
        (&workspace.join("tests/host/flake/flake.nix"), &format!("{FLAKE}/flake.nix")),
    ] {
        fs::copy(from, at(to)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }
    symlink("nixos-nspawn-ctl", at("/usr/local/bin/nixos-nspawn")).expect("a link");
    // Otherwise Nix itself does not survive power cuts while it works (docs/decisions/durability.md).
    let conf = at("/etc/nix/nix.conf");
    let settings = fs::read_to_string(&conf).expect("the settings of the tree");
    fs::write(&conf, format!("{settings}fsync-store-paths = true\n")).expect("own file");
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("uuid").replace('-', "");
    let unit = "/etc/systemd/system";
    for (path, contents) in [
        (format!("{FLAKE}/own.json"), containers),
        ("/etc/machine-id".to_owned(), id.as_str()),
        ("/etc/hostname".to_owned(), "host\n"),
        ("/usr/local/lib/vm-agent.sh".to_owned(), include_str!("agent.sh")),
        (format!("{unit}/vm-agent.service"), include_str!("agent.service")),
        (format!("{unit}/{SMALL}"), include_str!("small.target")),
    ] {
        fs::write(at(&path), contents).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    symlink("../vm-agent.service", at(&format!("{unit}/basic.target.wants/vm-agent.service")))
        .expect("a link");
    // Emulated, the build of the programs in the containers would take minutes.
    let build = format!(
        r#"mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /usr/bin/env -i \
            PATH=/usr/sbin:/usr/bin HOME=/root nix build --no-link --store / $(printf '{FLAKE}#nixosContainers.%s ' {})"#,
        names(containers).join(" ")
    );
    shell(&[
        &format!(
            "exec unshare --mount --pid --fork --propagation private sh -euc '{}' \"$0\"",
            build.replace('\'', r"'\''")
        ),
        &text(work),
    ]);
}

/// Returns the names of the containers in the flake's settings.
fn names(containers: &str) -> Vec<String> {
    let settings: serde_json::Value = serde_json::from_str(containers).expect("JSON");
    settings.as_object().expect("an object").keys().cloned().collect()
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs a shell script, with its arguments behind it, that must succeed.
fn shell(words: &[&str]) {
    let output =
        run(Command::new("sh").arg("-euc").args(words), None, Timeout::after(Duration::from_secs(600)));
    assert!(output.success(), "an image cannot be made: {output}");
}
