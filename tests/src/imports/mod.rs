//! The import graph of a crate. Checks that each import runs down the declared layers and that no files form a circle.
//! An import of a re-exported name points to the file that defines it.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use source::{Named, Source};

/// The layers a crate must follow.
pub struct Layers {
    /// The top-level modules by layer, from top to bottom. The crate's roots are `main` and `lib`.
    pub order: &'static [&'static [&'static str]],
    /// Modules that only the listed modules may import.
    pub only: &'static [(&'static str, &'static [&'static str])],
    /// Modules whose files may form circles among themselves.
    pub circles: &'static [&'static str],
}

/// An import: one file uses another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    to: String,
    line: usize,
}

/// Returns a line for each import below `src` that breaks the rules.
pub fn faults(src: &Path, layers: &Layers) -> Vec<String> {
    let files = read(src);
    let arrows = arrows(&files);
    let mut faults = unknown(&files, layers);
    faults.extend(arrows.iter().filter_map(|arrow| out_of_order(arrow, layers)));
    faults.extend(circles(&arrows, layers));
    faults
}

/// Reads a crate's files, except for tests, by path below `src`.
fn read(src: &Path) -> BTreeMap<String, Source> {
    let entries = WalkDir::new(src).into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy();
        name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs")
    });
    let files: BTreeMap<String, Source> = files
        .map(|entry| {
            let name = entry.path().strip_prefix(src).expect("below").to_str().expect("UTF-8").to_owned();
            (name, source::read(&fs::read_to_string(entry.path()).expect("readable")))
        })
        .collect();
    assert!(!files.is_empty(), "no source files below {}", src.display());
    files
}

/// Returns the module path of a file: `[]` for the roots, `[a, b]` for `a/b.rs` and `a/b/mod.rs`.
fn module(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
    match stem {
        "main" | "lib" => Vec::new(),
        _ => stem.split('/').map(str::to_owned).collect(),
    }
}

/// Returns the top-level module that a file belongs to.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn arrows(files: &BTreeMap<String, Source>) -> Vec<Arrow> {
    let mut arrows = BTreeSet::new();
    for (from, source) in files {
        for named in &source.named {
            if let Some(to) = target(files, from, &named.path, 0).filter(|to| to != from) {
                arrows.insert(Arrow { from: from.clone(), to, line: named.line });
            }
        }
    }
    arrows.into_iter().collect()
}

/// Returns the file that defines what `path` names in the file `from`; `None` if another crate does.
fn target(files: &BTreeMap<String, Source>, from: &str, path: &[String], depth: usize) -> Option<String> {
    let own = module(from);
    let (first, behind) = path.split_first()?;
    let mut full = match first.as_str() {
        "crate" => Vec::new(),
        "super" => own.split_last()?.1.to_vec(),
        child if files[from].children.iter().any(|name| name == child) => [own, vec![first.clone()]].concat(),
        _ => return None,
    };
    let mut behind = behind;
    while let Some(("super", rest)) = behind.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        full.pop();
        behind = rest;
    }
    full.extend_from_slice(behind);
    let is_root = |file: &str| ["main.rs", "lib.rs"].contains(&file);
    let (mut file, mut length) = (files.keys().find(|file| is_root(file))?.clone(), 0);
    if is_root(from) {
        file = from.to_owned();
    }
    for (name, module) in files.keys().filter(|file| !is_root(file)).map(|file| (file, module(file))) {
        if module.len() > length && full.starts_with(&module) {
            (file, length) = (name.clone(), module.len());
        }
    }
    let item = full.get(length);
    let imported = item.and_then(|item| {
        let same = |named: &&Named| named.alias.as_ref() == Some(item);
        files[&file].named.iter().find(same)
    });
    match imported {
        Some(named) if depth < 8 => target(files, &file, &named.path, depth + 1).or(Some(file)),
        _ => Some(file),
    }
}

/// Returns a line for each module without a layer, and for each layer that names no module.
fn unknown(files: &BTreeMap<String, Source>, layers: &Layers) -> Vec<String> {
    let rooms: BTreeSet<&str> = files.keys().map(|file| room(file)).collect();
    let declared: BTreeSet<&str> = layers.order.iter().flat_map(|layer| layer.iter().copied()).collect();
    let missing = rooms.difference(&declared).map(|room| format!("{room}: is in no layer"));
    let stale = declared.difference(&rooms).map(|room| format!("{room}: is a layer, but no module"));
    missing.chain(stale).collect()
}

fn out_of_order(arrow: &Arrow, layers: &Layers) -> Option<String> {
    let (from, to) = (room(&arrow.from), room(&arrow.to));
    let height = |room: &str| layers.order.iter().position(|layer| layer.contains(&room));
    let import = format!("{}:{}: imports {}", arrow.from, arrow.line, arrow.to);
    if height(from)? > height(to)? {
        return Some(format!("{import}, which is in a layer above"));
    }
    let (_, importers) = layers.only.iter().find(|(module, _)| *module == to)?;
    (from != to && !importers.contains(&from))
        .then(|| format!("{import}, which only {} may", importers.join(" and ")))
}

/// Returns a line for each circle of files that is not allowed, with the arrows between them.
fn circles(arrows: &[Arrow], layers: &Layers) -> Vec<String> {
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        reached.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    loop {
        let mut longer = reached.clone();
        for targets in longer.values_mut() {
            let further = targets.iter().filter_map(|target| reached.get(target)).flatten().copied();
            targets.extend(further.collect::<Vec<_>>());
        }
        if longer == reached {
            break;
        }
        reached = longer;
    }
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|targets| targets.contains(to));
    let mut circles: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for Arrow { from, to, line } in arrows.iter().filter(|arrow| reaches(&arrow.to, &arrow.from)) {
        let members = reached.keys().filter(|file| reaches(from, file) && reaches(file, from));
        circles.entry(members.copied().collect()).or_default().push(format!("{from}:{line} → {to}"));
    }
    let allowed = |files: &[&str]| files.iter().all(|file| layers.circles.contains(&room(file)));
    let forbidden = circles.iter().filter(|(files, _)| !allowed(files));
    forbidden.map(|(files, arrows)| format!("circle of {}: {}", files.len(), arrows.join(", "))).collect()
}

#[cfg(test)]
mod tests;
