//! Closed pipes, full disks, and callers without permission.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::Said;
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::zoo;

#[test]
fn closed_pipes_and_full_disks() {
    let tree = zoo();
    for words in [&["list"][..], &["list", "--json"], &["show", "web"], &["show", "web", "--json"]] {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let said: Said = tree
            .command(words)
            .stdout(OwnedFd::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
            .into();
        assert_eq!(said.status, 0, "{words:?}: {}", said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let said: Said = tree.command(&["list"]).stdout(full).output().unwrap().into();
    assert_eq!(said.status, 1);
    assert!(said.err.starts_with("nixos-nspawn: standard output: No space left"), "{}", said.err);

    // A closed standard error does not stop a command either.
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let (closed, stderr) = UnixStream::pair().unwrap();
    drop(closed);
    let mut child = tree
        .command(&["list", "--json"])
        .stdout(OwnedFd::from(writer))
        .stderr(OwnedFd::from(stderr))
        .spawn()
        .unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(serde_json::from_str::<Value>(&text).is_ok());
}

#[test]
fn readers_without_permission_see_the_reason() {
    assert!(rustix::process::geteuid().is_root(), "these tests change users and need root");
    let tree = zoo();
    let as_nobody = |words: &[&str]| -> Said {
        // The user `nobody` may have no access to the program's directory, so it gets an open file.
        let program = fs::File::open(&bins().ctl).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/proc/self/fd/0", "--root"]);
        command.arg(tree.root()).args(words).stdin(program).output().unwrap().into()
    };
    fs::set_permissions(tree.path("/etc/nixos-nspawn/web.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = as_nobody(&["list"]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("\nweb    -      unreadable\n"), "{}", said.out);
    assert!(
        said.out.contains("\nweb: /etc/nixos-nspawn/web.json: cannot be read: Permission denied"),
        "{}",
        said.out
    );
    assert!(as_nobody(&["show", "web"]).out.contains("Remedy: try again with sudo"));
    assert_eq!(as_nobody(&["enable", "quiet"]).status, 1);

    fs::set_permissions(tree.path("/etc/nixos-nspawn"), fs::Permissions::from_mode(0o700)).unwrap();
    for words in [&["list"][..], &["list", "--json"], &["show", "web"]] {
        let said = as_nobody(words);
        let all = said.out + &said.err;
        assert_eq!(said.status, 1, "{words:?}: {all}");
        assert!(all.contains("/etc/nixos-nspawn: cannot be read: Permission denied"), "{all}");
    }
}
