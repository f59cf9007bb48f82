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

/// The example of README.md and of the guide shows what is printed.
#[test]
fn the_example_of_the_documents() {
    let tree = Tree::new();
    let network = "[Network]\nPort=80000\nNamespacePath=/run/netns/lab\n";
    tree.write("/hosts/web.nspawn", &format!("[Exec]\nPrivteUsers=pick\n\n{network}"));
    tree.write("/hosts/db.nspawn", "[Exec]\nPrivateUsers=pick\n");
    tree.write("/hosts/mail.nspawn", "[Network]\nPort=tcp:25:25\n");
    let mut command = std::process::Command::new(&bins().ctl);
    let words = ["verify", "--systemd", "257", "./hosts"];
    let said = Said::from(command.args(words).current_dir(tree.path("/")).output().unwrap());
    assert_eq!(said.status, 1, "{}", said.err);
    let example = format!("$ nixos-nspawn {}\n{}", words.join(" "), said.out);
    for document in ["README.md", "docs/verify.md"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&example), "{document} does not show\n{example}");
    }
}
