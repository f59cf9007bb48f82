//! `--root` on a hostile tree: links at every component of every path that a command uses lead out of the tree,
//! files are FIFOs, and records name paths elsewhere. Nothing outside changes, and no command hangs.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nixos_nspawn_tests::offline::Tree;
use serde_json::json;
use tempfile::TempDir;

const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn/web";
const PROFILE: &str = "/nix/store/1ja0rxwgmxk0pzfhwqvfmsjkxxzhq2zy-nixos-container-web";

const SYSTEM: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";

/// Paths of a container that commands read, write or delete, and what is created there.
const PATHS: [(&str, bool); 22] = [
    ("/etc/nixos-nspawn/web.json", true),
    ("/etc/nixos-nspawn/.web.removing", true),
    ("/etc/nixos-nspawn/host.json", true),
    ("/etc/nixos-nspawn/declarative.d/db.json", true),
    ("/etc/nixos-nspawn.conf", true),
    ("/etc/nixos-nspawn.conf.d/10.conf", true),
    ("/etc/systemd/nspawn/web.nspawn", true),
    ("/etc/systemd/system/machines.target.wants/systemd-nspawn@web.service", true),
    ("/etc/systemd/networkd.conf.d/10-nixos-nspawn.conf", true),
    ("/run/systemd/nspawn/web.nspawn", true),
    ("/run/systemd/network/50-nixos-nspawn-web.network", true),
    ("/run/systemd/generator/nixos-nspawn/web.nspawn", true),
    ("/run/nixos-nspawn/devices/web", false),
    ("/run/nixos-nspawn/nix/web/store", false),
    ("/run/nixos-nspawn/binds/web/0", false),
    ("/run/nixos-nspawn/lock/web", true),
    ("/nix/var/nix/profiles/per-nspawn/web/last-activation.json", true),
    ("/nix/var/nix/profiles/per-nspawn/web/pending", true),
    ("/nix/var/nix/profiles/per-nspawn/web/updates.json", true),
    ("/nix/var/nix/gcroots/nixos-nspawn/web-running", true),
    ("/var/lib/machines/web/etc/machine-id", true),
    ("/var/log/journal/0123456789abcdef0123456789abcdef", false),
];

/// The commands that work below `--root`, in an order in which all of them succeed.
const VERBS: [&[&str]; 14] = [
    &["list"],
    &["list", "--json"],
    &["show", "web"],
    &["show", "db"],
    &["status", "web"],
    &["list-generations", "web"],
    &["diff", "web"],
    &["disable", "web"],
    &["enable", "web"],
    &["hold", "web"],
    &["unhold", "web"],
    &["create", "new", "--profile", PROFILE],
    &["remove", "new"],
    &["remove", "web", "--delete-state"],
];

/// Creates a tree with a container and something at each of the paths.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.write(&format!("{PROFILE}/nixos-nspawn/data.json"), "{\"version\": 1}");
    tree.write(&format!("{SYSTEM}/init"), "#!/bin/sh\n");
    tree.link(&format!("{PROFILE}/init"), &format!("{SYSTEM}/init"));
    for (path, is_file) in PATHS {
        match is_file {
            true => tree.write(path, "{}"),
            false => fs::create_dir_all(tree.path(path)).expect("a directory"),
        }
    }
    for path in
        ["/etc/nixos-nspawn/.web.removing", "/etc/nixos-nspawn/host.json", "/etc/systemd/nspawn/web.nspawn"]
    {
        fs::remove_file(tree.path(path)).expect("a file");
    }
    for path in ["/etc/nixos-nspawn.conf", "/etc/nixos-nspawn.conf.d/10.conf"] {
        tree.write(path, "");
    }
    fs::remove_file(tree.path("/run/systemd/nspawn/web.nspawn")).expect("a file");
    tree.write(
        "/etc/nixos-nspawn/declarative.d/db.json",
        &json!({"version": 1, "toplevel": SYSTEM}).to_string(),
    );
    tree.intent("web", json!({"toplevel": SYSTEM, "profile": format!("{PROFILES}/system"), "generation": 2}));
    for generation in ["system-1-link", "system-2-link"] {
        tree.link(&format!("{PROFILES}/{generation}"), PROFILE);
    }
    tree.link(&format!("{PROFILES}/system"), "system-2-link");
    tree
}

/// Returns every path below a directory outside the tree.
fn outside(victim: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(victim).into_iter().map(|entry| {
        let entry = entry.expect("readable");
        let text = match entry.file_type() {
            kind if kind.is_file() => fs::read_to_string(entry.path()).expect("readable"),
            kind if kind.is_symlink() => fs::read_link(entry.path()).expect("readable").display().to_string(),
            _ => String::new(),
        };
        format!("{} {text}", entry.path().display())
    });
    let mut entries: Vec<String> = entries.collect();
    entries.sort();
    entries
}

/// Runs a command that must end in time, without a panic.
fn bounded(tree: &Tree, words: &[&str], what: &str) {
    let mut child =
        tree.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if begin.elapsed() > Duration::from_secs(20) {
            let _ = child.kill();
            panic!("{what}: {words:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.signal().is_none() && status.code() != Some(101), "{what}: {words:?}: {status}");
}

/// Returns the path and all directories above it in the tree.
fn components(path: &str) -> Vec<PathBuf> {
    let below = Path::new(path.trim_start_matches('/'));
    below.ancestors().filter(|part| !part.as_os_str().is_empty()).map(Path::to_owned).collect()
}

#[test]
fn no_link_leads_a_command_out_of_the_tree() {
    let mut places: Vec<PathBuf> = PATHS.iter().flat_map(|(path, _)| components(path)).collect();
    places.extend(components(&format!("{PROFILES}/system")));
    places.extend(components(&format!("{PROFILES}/system-1-link")));
    places.sort();
    places.dedup();
    assert!(places.len() > 50, "{places:?}");
    for (at, place) in places.iter().enumerate() {
        let relative = at % 2 == 0;
        let victims = TempDir::new().expect("a folder");
        let victim = victims.path().join("victim");
        let tree = tree();
        let inside = tree.root().join(place);
        // The original is moved outside, so that a command that follows the link finds what it expects.
        match inside.symlink_metadata() {
            Ok(found) if !found.is_symlink() => {
                let moved = std::process::Command::new("cp").arg("-a").arg(&inside).arg(&victim).status();
                assert!(moved.expect("cp").success());
                if found.is_dir() {
                    fs::remove_dir_all(&inside).expect("removed");
                } else {
                    fs::remove_file(&inside).expect("removed");
                }
            }
            found => {
                fs::create_dir(&victim).expect("new");
                fs::write(victim.join("precious"), "").expect("new");
                if found.is_ok() {
                    fs::remove_file(&inside).expect("removed");
                }
            }
        }
        let target = match relative {
            true => Path::new(&"../".repeat(30)).join(victim.strip_prefix("/").expect("absolute")),
            false => victim.clone(),
        };
        symlink(target, &inside).expect("a link");
        let before = outside(victims.path());
        for words in VERBS {
            bounded(&tree, words, &place.display().to_string());
            assert_eq!(outside(victims.path()), before, "{}: {words:?}", place.display());
        }
    }
}

/// The same commands succeed on an intact tree, which shows that the attacks concern real work.
#[test]
fn commands_work_on_the_tree() {
    let tree = tree();
    for words in VERBS {
        let said = tree.run(words);
        assert_eq!(said.status, 0, "{words:?}: {}{}", said.out, said.err);
        // A broken container is shown as well.
        assert!(words[0] != "show" || said.out.contains(SYSTEM), "{words:?}: {}", said.out);
    }
}

/// Files that block or never end do not delay a command.
#[test]
fn no_file_keeps_a_command_waiting() {
    for (path, is_file) in PATHS {
        let tree = tree();
        let at = tree.path(path);
        if is_file {
            let _ = fs::remove_file(&at);
        } else {
            fs::remove_dir_all(&at).expect("removed");
        }
        let made = std::process::Command::new("mkfifo").arg(&at).status();
        assert!(made.expect("mkfifo").success());
        for words in VERBS {
            bounded(&tree, words, path);
        }
    }
}

/// Creates what the records below name: a profile with its notes, and a source of a bind mount.
fn deletable(folder: &Path) {
    fs::create_dir_all(folder.join("web")).expect("new");
    fs::create_dir(folder.join("source")).expect("new");
    symlink(PROFILE, folder.join("web/system-1-link")).expect("new");
    symlink("system-1-link", folder.join("web/system")).expect("new");
    fs::write(folder.join("web/updates.json"), "{}").expect("new");
}

/// Who names the paths to delete.
#[derive(Clone, Copy, Debug)]
enum NamedBy {
    /// The record of a killed create.
    Create,
    /// The record of a killed remove.
    Remove,
    /// The intent.
    Intent,
}

/// Creates a tree in which paths in `folder` are to be deleted.
fn named(by: NamedBy, folder: &str) -> Tree {
    let tree = tree();
    let record = json!({
        "profileDirectory": format!("{folder}/web"), "madeProfile": true, "state": "asked", "phase": "building",
        "missingSources": [format!("{folder}/source")],
    });
    let intent = json!({"toplevel": SYSTEM, "profile": format!("{folder}/web/system"), "generation": 1});
    match by {
        NamedBy::Create => {
            fs::remove_file(tree.path("/etc/nixos-nspawn/web.json")).expect("an intent");
            tree.write("/etc/nixos-nspawn/.web.creating", &record.to_string());
        }
        NamedBy::Remove => tree.write("/etc/nixos-nspawn/.web.removing", &record.to_string()),
        NamedBy::Intent => tree.intent("web", intent),
    }
    tree
}

/// Neither the record of a killed command nor an intent deletes anything outside the tree.
#[test]
fn no_record_deletes_anything_elsewhere() {
    let victims = TempDir::new().expect("a folder");
    deletable(victims.path());
    let before = outside(victims.path());
    let elsewhere = victims.path().display().to_string();
    for by in [NamedBy::Create, NamedBy::Remove, NamedBy::Intent] {
        for folder in [
            elsewhere.clone(),
            format!("/..{elsewhere}"),
            format!("{PROFILES}/../../../../../../../../../../..{elsewhere}"),
            "/srv/link".to_owned(),
        ] {
            let tree = named(by, &folder);
            tree.link("/srv/link", &elsewhere);
            for words in VERBS {
                bounded(&tree, words, &folder);
                assert_eq!(outside(victims.path()), before, "{by:?} {folder}: {words:?}");
            }
        }
    }
}

/// The same records delete the same files inside the tree.
#[test]
fn records_delete_what_they_name_inside_the_tree() {
    for by in [NamedBy::Create, NamedBy::Remove, NamedBy::Intent] {
        let tree = named(by, "/srv/inside");
        deletable(&tree.path("/srv/inside"));
        for words in VERBS {
            bounded(&tree, words, "inside");
        }
        let left: Vec<String> = outside(&tree.path("/srv/inside"));
        // An intent names no sources.
        let kept = if matches!(by, NamedBy::Intent) { 2 } else { 1 };
        assert_eq!(left.len(), kept, "{by:?}: {left:?}");
        assert!(!tree.path("/srv/inside/web").exists(), "{by:?}: {left:?}");
    }
}
