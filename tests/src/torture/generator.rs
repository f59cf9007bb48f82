//! Faults at each system call of the generator. Whatever fails, it leaves no link without the files of its
//! container and no file with a part of its text, so that the bare template never starts a container.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::counts::{Counts, in_parallel};
use super::fault::{ALL, Fault, Point, faulted, points};
use crate::golden::Root;
use crate::manifest::paths;

/// The containers, one of which is refused.
const INTENTS: [(&str, &str); 4] = [
    (
        "web",
        r#"{"forwardPorts":[{"hostPort":1000,"startOnConnect":true}],"hostNetworkConfig":{"address":"10.0.0.1/24"}}"#,
    ),
    ("db", r#"{"bindMounts":["/srv/data"],"credentials":[{"id":"key"}],"memoryMax":"1G"}"#),
    ("plain", "{}"),
    ("broken", r#"{"noSuchOption":1}"#),
];

/// So many more containers are planned by several threads.
const MORE: usize = 150;

fn root(more: usize) -> Root {
    let root = Root::empty();
    root.outputs();
    fs::create_dir_all(root.intents()).expect("new");
    let more = (0..more).map(|number| (format!("more{number}"), r#"{"zone":"lab"}"#));
    for (name, container) in INTENTS.map(|(name, text)| (name.to_owned(), text)).into_iter().chain(more) {
        let text = format!(
            r#"{{"version":1,"toplevel":"/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-{name}","container":{container}}}"#
        );
        fs::write(root.intents().join(format!("{name}.json")), text).expect("written");
    }
    root
}

/// Returns the files of a directory by path, and the targets of links.
fn written(units: &Path) -> BTreeMap<String, String> {
    paths(units)
        .into_iter()
        .filter(|path| units.join(path).is_symlink() || units.join(path).is_file())
        .map(|path| {
            let full = units.join(&path);
            let what = match fs::read_link(&full) {
                Ok(target) => target.display().to_string(),
                Err(_) => fs::read_to_string(&full).expect("UTF-8"),
            };
            (path.display().to_string(), what)
        })
        .collect()
}

/// Kills the generator at each call, and makes every `every`th call fail. With many containers, kills it at some calls,
/// and makes all later ones fail.
pub fn run(every: usize) -> Counts {
    let mut counts = few(every);
    counts.add(many(every));
    counts
}

fn many(every: usize) -> Counts {
    let (all, whole) = undisturbed(MORE);
    // In another run, each thread may have less to do.
    let changing: Vec<&Point> = all[..all.len() / 2].iter().filter(|point| point.changes()).collect();
    let faults = [Fault::Signal("SIGKILL"), Fault::Errors("ENOSPC")];
    let sample = changing.iter().copied().step_by(1 + changing.len() / 60 * every);
    let jobs: Vec<(&Point, Fault)> = sample.flat_map(|point| faults.map(|fault| (point, fault))).collect();
    assert!(jobs.len() >= 30 && whole.len() > 3 * MORE / 2, "{} jobs, {} files", jobs.len(), whole.len());
    in_parallel(&jobs, |(point, fault)| one(MORE, &whole, point, *fault))
}

/// Returns the calls of a run, and what it writes.
fn undisturbed(more: usize) -> (Vec<Point>, BTreeMap<String, String>) {
    let root = root(more);
    let log = tempfile::NamedTempFile::new().expect("a log");
    let all = points(&root.command(), ALL, log.path());
    (all, written(&root.units()))
}

fn few(every: usize) -> Counts {
    let (all, whole) = undisturbed(0);
    assert!(whole.keys().filter(|path| path.contains(".wants/")).count() > 5, "{:#?}", whole.keys());
    let mut jobs: Vec<(&Point, Fault)> = Vec::new();
    for (at, point) in all.iter().enumerate() {
        if point.changes() {
            jobs.push((point, Fault::Signal("SIGKILL")));
            jobs.push((point, Fault::Error("ENOSPC")));
            jobs.push((point, Fault::Errors("ENOSPC")));
        }
        if at % every == 0 {
            jobs.push((point, Fault::Error("EIO")));
            jobs.push((point, Fault::Errors("EIO")));
            if point.call.starts_with("openat") {
                jobs.push((point, Fault::Error("EMFILE")));
                jobs.push((point, Fault::Errors("EMFILE")));
            }
        }
    }
    in_parallel(&jobs, |(point, fault)| one(0, &whole, point, *fault))
}

fn one(more: usize, whole: &BTreeMap<String, String>, point: &Point, fault: Fault) -> Counts {
    let root = root(more);
    let (output, injected) = faulted(&root.command(), point, fault);
    let mut counts = Counts::default();
    let killed = output.status.signal() == Some(9);
    counts.count(fault, injected, killed);
    let said = String::from_utf8_lossy(&output.stderr);
    let mut wrong = Vec::new();
    if said.contains("internal error") || !killed && !matches!(output.status.code(), Some(0 | 1)) {
        wrong.push(format!("ended with {}", output.status));
    }
    let mut found = written(&root.units());
    if killed {
        // A unit gets its name before its text. PID 1 starts nothing of an empty one; what others read never is.
        found.retain(|path, text| !text.is_empty() || path.starts_with("nixos-nspawn/"));
    }
    let clean = output.status.code() == Some(0);
    if clean {
        wrong.push("does not say that something was refused".to_owned());
    }
    for (path, text) in found.iter().filter(|(path, _)| !is_temporary(path)) {
        let refused = text.contains(" --refuse ") || path.ends_with(".refused");
        if whole.get(path) != Some(text) && !refused {
            wrong.push(format!("{path} is not as planned: {text}"));
        }
        if let Some((_, unit)) = path.split_once(".wants/") {
            wrong.extend(without_files(unit, &found).map(|missing| format!("{path} without {missing}")));
        }
    }
    if matches!(fault, Fault::Error(_)) {
        wrong.extend(affected(whole, &found, &said, point));
    }
    counts.wrong.extend(wrong.into_iter().map(|what| {
        format!(
            "generator, {fault:?} at {}({}) {}: {what}\n  said: {}",
            point.call,
            point.nth,
            point.shown,
            said.trim()
        )
    }));
    counts
}

/// Returns the good containers that a single error affects more than it may: those that the call does not concern
/// must be complete, and the others complete or visibly refused.
fn affected(
    whole: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    said: &str,
    point: &Point,
) -> Vec<String> {
    let named = |text: &str, name: &str| {
        [format!("{name}."), format!("-{name}"), format!("@{name}"), format!("'{name}'")]
            .iter()
            .any(|way| text.contains(way))
    };
    let concerns = |name: &str| named(&point.shown, name);
    let of_one = INTENTS.iter().any(|(name, _)| concerns(name));
    // All containers are unknown then, or none can be written.
    let of_all = ["openat", "getdents64"].contains(&point.call.as_str())
        && ["/etc/nixos-nspawn: cannot be ", "/generator: cannot be written: "]
            .iter()
            .any(|words| said.contains(words));
    let good = INTENTS.iter().map(|(name, _)| *name).filter(|name| *name != "broken");
    good.filter(|name| {
        let mut wanted = whole.iter().filter(|(path, _)| path.contains(name));
        let complete = wanted.all(|(path, text)| found.get(path) == Some(text));
        let drop_in = format!("systemd-nspawn@{name}.service.d/50-nixos-nspawn.conf");
        let refused = found.get(&drop_in).is_some_and(|text| text.contains(" --refuse "))
            || named(said, name)
            || of_all;
        !complete && (of_one && !concerns(name) || !refused)
    })
    .map(|name| format!("{name} is not complete"))
    .collect()
}

/// Returns the file that a started unit lacks, if any.
fn without_files(unit: &str, found: &BTreeMap<String, String>) -> Option<String> {
    let container = unit.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
    let needed = match container {
        Some(name) => {
            let drop_in = format!("systemd-nspawn@{name}.service.d/50-nixos-nspawn.conf");
            let refused = found.get(&drop_in).is_some_and(|text| text.contains(" --refuse "));
            let settings = format!("nixos-nspawn/{name}.nspawn");
            if refused { vec![drop_in] } else { vec![drop_in, settings] }
        }
        None => vec![unit.to_owned()],
    };
    needed.into_iter().find(|file| !found.contains_key(file))
}

/// Returns whether a file was left by a killed write. systemd ignores such hidden files.
fn is_temporary(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with('.') && name.ends_with(".new"))
}
