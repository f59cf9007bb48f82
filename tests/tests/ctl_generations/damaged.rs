//! A system that lost its files in a power failure.

use nixos_nspawn_tests::offline::Tree;

use crate::store;

/// Nix registers what it has built before the files are on the disk.
#[test]
fn a_system_without_contents_is_refused() {
    let (profile, system) = (store("profile"), store("system"));
    for own in [true, false] {
        let tree = Tree::new();
        if own {
            tree.write(&format!("{profile}/init"), "");
        } else {
            tree.write(&format!("{system}/init"), "");
            tree.link(&format!("{profile}/init"), &format!("{system}/init"));
        }
        let said = tree.run(&["create", "web", "--profile", &profile]);
        assert_eq!(said.status, 10, "{}", said.err);
        for part in
            ["its init is empty, as after a power failure", "nix-store --verify --check-contents --repair"]
        {
            assert!(said.err.contains(part), "{}", said.err);
        }
        assert!(!tree.path("/etc/nixos-nspawn/web.json").exists());
    }
}
