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

/// What cannot be checked hides no findings.
#[test]
fn verify_goes_on() {
    let tree = Tree::new();
    tree.write("/bad.nspawn", "[Exec]\nBot=yes\n");
    tree.write("/readme", "");
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&bins().ctl);
        Said::from(command.arg("verify").args(words).current_dir(tree.path("/")).output().unwrap())
    };
    let said = run(&["none", "bad.nspawn", "readme"]);
    assert_eq!(said.status, 2, "{}", said.out);
    assert!(said.out.starts_with("bad.nspawn:2: [Exec] Bot=: is not known, ignored"), "{}", said.out);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("none: does not exist"), "{lines:?}");
    assert!(lines[1].contains("readme: is of no kind that 'verify' knows"), "{lines:?}");
    let said = run(&["--json", "none", "bad.nspawn"]);
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.status, answer["findings"][0]["key"].as_str()), (2, Some("Bot")), "{}", said.err);
    let said = run(&["none"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""), "{}", said.err);
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
