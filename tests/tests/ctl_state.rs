//! Deleting state on btrfs: subvolumes, which a container can make itself, are deleted like directories, and so are
//! immutable directories in them. The test mounts a real btrfs from a file.

use std::fs;
use std::path::Path;
use std::process::Command;

use nixos_nspawn_tests::offline::Tree;
use serde_json::json;
use tempfile::TempDir;

/// Runs a program that must succeed.
fn ok(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A mounted btrfs. Unmounted when dropped.
struct Btrfs<'a>(&'a Path);

impl<'a> Btrfs<'a> {
    fn mount(image: &Path, at: &'a Path) -> Self {
        let file = fs::File::create(image).expect("an image");
        file.set_len(200 << 20).expect("a size");
        ok("mkfs.btrfs", &["-q", image.to_str().expect("UTF-8")]);
        ok("mount", &["-o", "loop", image.to_str().expect("UTF-8"), at.to_str().expect("UTF-8")]);
        Self(at)
    }
}

impl Drop for Btrfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn subvolumes_and_immutable_directories_are_deleted() {
    let tree = Tree::new();
    let machines = tree.path("var/lib/machines");
    fs::create_dir_all(&machines).expect("machines");
    tree.intent("web", json!({}));
    let images = TempDir::new().expect("a folder");
    let _mounted = Btrfs::mount(&images.path().join("image"), &machines);
    let path = |path: &str| machines.join(path).to_str().expect("UTF-8").to_owned();
    ok("btrfs", &["subvolume", "create", &path("web")]);
    fs::create_dir(path("web/var")).expect("var");
    ok("btrfs", &["subvolume", "create", &path("web/var/inner")]);
    fs::write(path("web/var/inner/file"), "data").expect("a file");
    fs::create_dir(path("web/var/empty")).expect("empty");
    ok("chattr", &["+i", &path("web/var/empty")]);
    ok("btrfs", &["subvolume", "create", &path("other")]);

    let said = tree.run(&["remove", "web", "--delete-state"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let left: Vec<_> =
        fs::read_dir(&machines).expect("machines").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["other"]);
}
