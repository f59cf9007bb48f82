//! Faults at each system call of a command on a tree below `--root`. After the next command that writes, the tree
//! must be, byte for byte, as it was before the faulted command or as it is after a successful one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use nixos_nspawn_units::intent::parse;

use super::counts::{Counts, in_parallel};
use super::fault::{ALL, CHANGING, Fault, Point, faulted, points};
use crate::offline::Tree;

/// The built systems in the trees.
const SYSTEMS: [&str; 2] = ["one", "two"];

/// A command and the tree that it runs on.
pub struct Case {
    /// The command.
    pub words: Vec<String>,
    /// Parts of the tree, as texts in their paths. Each part changes as a whole, independently of the others.
    parts: &'static [&'static str],
    prepare: fn(&Tree),
}

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    let one = system("one");
    let in_parts = |parts: &'static [&'static str], words: &[&str], prepare: fn(&Tree)| Case {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        parts,
        prepare,
    };
    let case = |words: &[&str], prepare: fn(&Tree)| in_parts(&[""], words, prepare);
    let create = ["create", "web", "--profile", one.as_str()];
    vec![
        case(&create, others),
        case(&create, |tree| {
            others(tree);
            tree.write("/var/lib/machines/web/data", "precious\n");
        }),
        case(&["remove", "web"], with_web),
        // On a full disk, a command that cannot complete may forget the request to delete the state.
        in_parts(&["", "/machines/"], &["remove", "web", "--delete-state"], with_web),
        in_parts(&["", "broken"], &["remove", "web", "broken"], |tree| {
            with_web(tree);
            tree.write("/etc/nixos-nspawn/broken.json", "{");
        }),
        case(&["enable", "web"], with_web),
        case(&["disable", "web"], with_web),
        in_parts(&["", "/machines.target.wants/"], &["disable", "web"], |tree| {
            with_web(tree);
            tree.link(
                "/etc/systemd/system/machines.target.wants/systemd-nspawn@web.service",
                "/usr/lib/systemd/system/systemd-nspawn@.service",
            );
        }),
    ]
}

fn system(name: &str) -> String {
    format!("{}-{name}", crate::offline::SYSTEM)
}

/// Creates a tree with a container that must not change.
fn others(tree: &Tree) {
    for name in SYSTEMS {
        tree.write(&format!("{}/init", system(name)), "#!/bin/sh\n");
    }
    assert_eq!(tree.run(&["create", "other", "--profile", &system("two")]).status, 0);
}

fn with_web(tree: &Tree) {
    others(tree);
    assert_eq!(tree.run(&["create", "web", "--profile", &system("one")]).status, 0);
    tree.write("/var/lib/machines/web/data", "precious\n");
    tree.write("/var/lib/machines/web/srv/more", "precious\n");
}

/// The contents of a tree by path.
type Snapshot = BTreeMap<String, String>;

/// Returns the contents of a tree except the lock files.
fn snapshot(tree: &Tree) -> Snapshot {
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
fn difference(wanted: &Snapshot, found: &Snapshot) -> Vec<String> {
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

/// The states before and after a command.
struct Ends {
    origin: Tree,
    before: Snapshot,
    after: Snapshot,
}

/// The density of faults.
#[derive(Clone, Copy, Debug)]
pub struct Density {
    /// SIGTERM and SIGINT at every Nth call that changes something.
    pub signals: usize,
    /// EIO at every Nth call, and ENOSPC at every N/2th call that changes something.
    pub errors: usize,
}

/// Kills a command at every call that changes something, and injects other faults according to `density`.
pub fn run(case: &Case, density: Density) -> Counts {
    let origin = Tree::new();
    (case.prepare)(&origin);
    let before = snapshot(&origin);
    let copy = copy(&origin);
    let log = tempfile::NamedTempFile::new().expect("a log");
    let all = points(&command(case, &copy), ALL, log.path());
    let after = snapshot(&copy);
    let changing: Vec<Point> = {
        let copy = self::copy(&origin);
        points(&command(case, &copy), CHANGING, log.path()).into_iter().filter(Point::changes).collect()
    };
    let ends = Ends { origin, before, after };

    let mut jobs: Vec<(Point, Fault)> = Vec::new();
    for (at, point) in changing.iter().enumerate() {
        jobs.push((point.clone(), Fault::Signal("SIGKILL")));
        if at % density.errors.div_ceil(2) == 0 {
            jobs.push((point.clone(), Fault::Error("ENOSPC")));
            // Later calls of openat read.
            if point.call != "openat" {
                jobs.push((point.clone(), Fault::Errors("ENOSPC")));
            }
        }
        if at % density.signals == 0 {
            jobs.push((point.clone(), Fault::Signal("SIGTERM")));
            jobs.push((point.clone(), Fault::Signal("SIGINT")));
        }
    }
    jobs.extend(all.into_iter().step_by(density.errors).map(|point| (point, Fault::Error("EIO"))));
    in_parallel(&jobs, |(point, fault)| one(case, &ends, point, *fault))
}

fn command(case: &Case, tree: &Tree) -> Command {
    let words: Vec<&str> = case.words.iter().map(String::as_str).collect();
    tree.command(&words)
}

/// Copies a tree. Recorded paths are those of a system, so that they are valid in the copy.
fn copy(origin: &Tree) -> Tree {
    let copy = Tree::new();
    let status = Command::new("cp").arg("-a").arg(origin.root().join(".")).arg(copy.root()).status();
    assert!(status.expect("cp").success(), "a tree cannot be copied");
    copy
}

fn one(case: &Case, ends: &Ends, point: &Point, fault: Fault) -> Counts {
    let tree = copy(&ends.origin);
    let output = faulted(&command(case, &tree), point, fault).output().expect("strace");
    let mut counts = Counts::default();
    let signal = output.status.signal();
    match fault {
        Fault::Signal("SIGKILL") if signal == Some(9) => counts.kills += 1,
        Fault::Signal("SIGKILL") => counts.missed += 1,
        Fault::Signal(_) => counts.signals += 1,
        Fault::Error(_) | Fault::Errors(_) => counts.errors += 1,
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut wrong = immediately(&tree, ends, fault, &output, &said);
    let now = snapshot(&tree);
    // A command about another container.
    let next = tree.run(&["enable", "other"]);
    if next.status != 0 {
        wrong.push(format!("the next command fails: {}", next.err.trim()));
    }
    let undone = tree.run(&["disable", "other"]);
    let settled = without_switch(&snapshot(&tree));
    let (before, after) = (without_switch(&ends.before), without_switch(&ends.after));
    let whole = |part: &&str| {
        let of = |snapshot| of_part(snapshot, part, case.parts);
        of(&settled) == of(&after) || !output.status.success() && of(&settled) == of(&before)
    };
    if !case.parts.iter().all(whole) {
        let base = if output.status.success() { &after } else { &before };
        wrong.push(format!(
            "after the next command: {:#?}; before that: {:#?}",
            difference(base, &settled),
            difference(base, &without_switch(&now))
        ));
    }
    if settled != before && settled != after && case.words[0] == "disable" {
        let link = |snapshot: &Snapshot| of_part(snapshot, case.parts[1], case.parts);
        if link(&settled) == link(&after) {
            wrong.push("the link is gone, and the container is not disabled".to_owned());
        }
    }
    // The same command is repeated.
    let again = tree.run(&case.words.iter().map(String::as_str).collect::<Vec<_>>());
    let done = again.status == 10 && again.err.contains("already exists") && settled == after;
    if (again.status != 0 && !done) || undone.status != 0 {
        wrong.push(format!(
            "the same command again fails ({}): {}{}",
            again.status,
            undone.err,
            again.err.trim()
        ));
    }
    let at_last = without_switch(&snapshot(&tree));
    let state_stays = ["", "broken"].iter().all(|part| {
        of_part(&at_last, part, &["", "/machines/", "broken"])
            == of_part(&after, part, &["", "/machines/", "broken"])
    });
    if at_last != after && !(state_stays && matches!(fault, Fault::Error("ENOSPC") | Fault::Errors("ENOSPC")))
    {
        wrong.push(format!("the same command again leads to {:#?}", difference(&after, &at_last)));
    }
    counts.wrong.extend(wrong.into_iter().map(|what| {
        format!(
            "{:?}, {fault:?} at {}({}) {}: {what}\n  said: {}",
            case.words,
            point.call,
            point.nth,
            point.shown,
            said.trim()
        )
    }));
    counts
}

/// Returns the entries of a part: those whose path contains its text, or for an empty text, those of no other
/// part.
fn of_part(snapshot: &Snapshot, part: &str, parts: &[&str]) -> Snapshot {
    let others = |path: &str| parts.iter().any(|other| !other.is_empty() && path.contains(other));
    let belongs = |path: &str| if part.is_empty() { !others(path) } else { path.contains(part) };
    snapshot
        .iter()
        .filter(|(path, _)| belongs(path))
        .map(|(path, what)| (path.clone(), what.clone()))
        .collect()
}

/// Returns the snapshot without the switch of the other container, which the checks change.
fn without_switch(snapshot: &Snapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    snapshot.remove("/etc/nixos-nspawn/other.json");
    // Created by the first command that needs a lock, and kept.
    snapshot.retain(|path, _| path != "/run" && path != "/run/nixos-nspawn");
    snapshot
}

/// Checks what must hold immediately, before the next command repairs anything.
fn immediately(tree: &Tree, ends: &Ends, fault: Fault, output: &Output, said: &str) -> Vec<String> {
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
    if kept.as_ref() != ends.before.get("/etc/nixos-nspawn/other.json") {
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
