//! Checks of a tree after a faulted command: what differs from another state of the tree, and what must hold whenever
//! a command ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;

use nixos_nspawn_units::intent::parse;

use super::fault::Fault;
use crate::offline::Tree;

/// The contents of a tree by path.
pub(super) type Snapshot = BTreeMap<String, String>;

/// Returns the contents of a tree except the lock files.
pub(super) fn snapshot(tree: &Tree) -> Snapshot {
    let root = tree.root().display().to_string();
    tree.snapshot()
        .into_iter()
        .map(|line| {
            let line = line.strip_prefix(&root).expect("below the tree");
            let (path, what) = line.split_once(' ').expect("two words");
            (path.to_owned(), what.replace(&root, ""))
        })
        .filter(|(path, _)| !path.starts_with("/run/nixos-nspawn/"))
        .collect()
}

/// Describes the differences.
pub(super) fn difference(wanted: &Snapshot, found: &Snapshot) -> Vec<String> {
    let lost = wanted
        .iter()
        .filter(|(path, what)| found.get(*path) != Some(what))
        .map(|(path, what)| format!("-{path} {}", what.trim()));
    let more = found
        .iter()
        .filter(|(path, what)| wanted.get(*path) != Some(what))
        .map(|(path, what)| format!("+{path} {}", what.trim()));
    lost.chain(more).collect()
}

/// Returns the entries of a part: those whose path contains its text, or for an empty text, those of no other
/// part.
pub(super) fn of_part(snapshot: &Snapshot, part: &str, parts: &[&str]) -> Snapshot {
    let others = |path: &str| parts.iter().any(|other| !other.is_empty() && path.contains(other));
    let belongs = |path: &str| if part.is_empty() { !others(path) } else { path.contains(part) };
    snapshot
        .iter()
        .filter(|(path, _)| belongs(path))
        .map(|(path, what)| (path.clone(), what.clone()))
        .collect()
}

/// Returns the snapshot without the switch of the other container, which the checks change.
pub(super) fn without_switch(snapshot: &Snapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    snapshot.remove("/etc/nixos-nspawn/other.json");
    // Created by the first command that needs a lock, and kept.
    snapshot.retain(|path, _| path != "/run" && path != "/run/nixos-nspawn");
    snapshot
}

/// Checks what must hold immediately, before the next command repairs anything.
pub(super) fn immediately(
    tree: &Tree,
    before: &Snapshot,
    fault: Fault,
    output: &Output,
    said: &str,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let code = output.status.code();
    if said.contains("panicked") || code == Some(101) {
        wrong.push("a panic".to_owned());
    }
    let may_die = matches!(fault, Fault::Signal(_));
    if output.status.signal().is_some() && !may_die {
        wrong.push(format!("died of signal {:?}", output.status.signal()));
    }
    let failed = code.is_some_and(|code| code != 0);
    // Standard error may be affected as well.
    if failed && said.trim().is_empty() && !matches!(fault, Fault::Errors(_)) {
        wrong.push("failed without a word".to_owned());
    }
    let is_error = matches!(fault, Fault::Error(_) | Fault::Errors(_));
    if failed
        && is_error
        && said.contains("os error")
        && !said.contains('/')
        && !said.contains("standard output")
    {
        wrong.push("the error does not name its path".to_owned());
    }
    // The other container has not changed.
    let kept = fs::read_to_string(tree.path("/etc/nixos-nspawn/other.json")).ok();
    if kept.as_ref() != before.get("/etc/nixos-nspawn/other.json") {
        wrong.push("the other container's intent is changed".to_owned());
    }
    wrong.extend(intents(tree));
    wrong
}

/// Checks that every intent parses, and that its system exists and is protected by a profile or a root of its own.
/// Skips an intent that was already broken.
fn intents(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(tree.path("/etc/nixos-nspawn")).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(name) =
            file.strip_suffix(".json").filter(|name| !name.starts_with('.') && *name != "broken")
        else {
            continue;
        };
        let text = fs::read(entry.path()).unwrap_or_default();
        let intent = match parse(&text, &name.parse().expect("a name")) {
            Ok(intent) => intent,
            Err(fault) => {
                wrong.push(format!("{file} does not parse: {fault}"));
                continue;
            }
        };
        let toplevel = intent.toplevel.as_str();
        if !tree.path(toplevel).join("init").exists() {
            wrong.push(format!("{file}: {toplevel} is not there"));
        }
        let of_link = |path: &str| fs::read_link(tree.path(path)).ok();
        let root = of_link(&format!("/nix/var/nix/gcroots/nixos-nspawn/{name}"));
        let profiles = format!("/nix/var/nix/profiles/per-nspawn/{name}");
        let generation = of_link(&format!("{profiles}/system"))
            .and_then(|link| of_link(&format!("{profiles}/{}", link.display())));
        if ![root, generation].iter().flatten().any(|target| target == Path::new(toplevel)) {
            wrong.push(format!("{file}: {toplevel} has no root"));
        }
    }
    wrong
}
