//! Faults at each system call of a command on a tree below `--root`. After the next command that writes, the tree
//! must be, byte for byte, as it was before the faulted command or as it is after a successful one.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::counts::{Counts, in_parallel};
use super::fault::{ALL, CHANGING, Fault, Point, faulted, points};
use super::tree_check::{Snapshot, difference, immediately, of_part, snapshot, without_switch};
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
    let (output, injected) = faulted(&command(case, &tree), point, fault);
    let mut counts = Counts::default();
    counts.count(fault, injected, output.status.signal() == Some(9));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut wrong = immediately(&tree, &ends.before, fault, &output, &said);
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
