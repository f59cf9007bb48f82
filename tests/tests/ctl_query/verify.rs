//! `verify` as it is called in a directory.

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::{Said, Tree};

/// Names relative to the current directory are those of the files there.
#[test]
fn verify_in_a_directory() {
    let tree = Tree::new();
    tree.write("/x.service.d/1.conf", "[Servce]\nA=1\n");
    tree.write("/etc/nixos-nspawn/web.json", "{}");
    for (folder, path, expected) in [
        ("/x.service.d", ".", "./1.conf:1: [Servce]: is not known, ignored with all its lines"),
        ("/x.service.d", "1.conf", "1.conf:1: [Servce]: is not known, ignored with all its lines"),
        ("/etc/nixos-nspawn", ".", "./web.json: field 'version': is missing"),
    ] {
        let mut command = std::process::Command::new(&bins().ctl);
        let said =
            Said::from(command.args(["verify", path]).current_dir(tree.path(folder)).output().unwrap());
        assert_eq!((said.status, said.err.as_str()), (1, ""), "{folder} {path}: {}", said.out);
        assert!(said.out.starts_with(expected), "{}", said.out);
    }
}
