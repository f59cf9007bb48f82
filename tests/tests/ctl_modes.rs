//! Files and directories have the same modes whatever the caller's umask.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::{SYSTEM, Tree};
use pretty_assertions::assert_eq;

/// Creates, changes and removes containers under a umask. Returns the mode and group of all files created.
fn life(umask: &str) -> BTreeMap<String, (u32, u32)> {
    let tree = Tree::new();
    let system = format!("{SYSTEM}-one");
    tree.write(&format!("{system}/init"), "#!/bin/sh\n");
    for folder in ["etc", "var/lib/machines", "nix/var/nix/profiles", "nix/var/nix/gcroots"] {
        let path = tree.path(folder);
        fs::create_dir_all(&path).expect("a tree");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a tree");
    }
    let before: Vec<_> = paths(&tree).into_keys().collect();
    for words in [
        &["create", "web", "--profile", &system][..],
        &["create", "gone", "--profile", &system],
        &["enable", "web"],
        &["disable", "web"],
        &["remove", "gone"],
    ] {
        let script = format!("umask {umask}; exec \"$0\" --root \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(&bins().ctl).arg(tree.root()).args(words);
        let output = command.output().expect("sh");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut made = paths(&tree);
    made.retain(|path, _| !before.contains(path));
    made
}

/// Returns the mode and group of everything in the tree except symbolic links.
fn paths(tree: &Tree) -> BTreeMap<String, (u32, u32)> {
    let entries = walkdir::WalkDir::new(tree.root()).into_iter().map(|entry| entry.expect("a tree"));
    entries
        .filter(|entry| !entry.file_type().is_symlink())
        .map(|entry| {
            let metadata = entry.metadata().expect("a tree");
            let path = entry.path().strip_prefix(tree.root()).expect("below").display().to_string();
            (path, (metadata.mode() & 0o7777, metadata.gid()))
        })
        .collect()
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let expected = life("022");
    let mode = |path: &str| expected.get(path).map(|(mode, _)| *mode);
    assert_eq!(mode("etc/nixos-nspawn"), Some(0o755));
    assert_eq!(mode("etc/nixos-nspawn/web.json"), Some(0o644));
    assert_eq!(mode("nix/var/nix/profiles/per-nspawn/web"), Some(0o755));
    for (path, (mode, group)) in &expected {
        assert_eq!((mode & 0o7022, *group), (0, 0), "{path}: {mode:o}");
    }
    for umask in ["000", "027", "077", "777"] {
        assert_eq!(life(umask), expected, "umask {umask}");
    }
}
