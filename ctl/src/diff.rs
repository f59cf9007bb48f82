//! What differs between two intents of a container, or two of its generations: the options, the generated files and the
//! closure. Intents and store paths go in, lines of a unified diff come out, so that every tool for diffs reads them.
//! Nothing is changed here, and nothing of the container is run.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, MARKER, OWN_DIRECTORY, plan_one};
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};
use nixos_nspawn_units::store::{DIRECTORY, Kind};
use nixos_nspawn_units::value::StorePath;
use similar::TextDiff;

use crate::context::{Context, find};
use crate::nix::Nix;
use crate::show_text::option_lines;

/// Options and generated files of two intents, as a unified diff; empty if there is no difference in them.
pub(crate) fn between(
    context: &Context,
    name: &MachineName,
    old: &Intent,
    new: &Intent,
) -> Result<Vec<String>> {
    let loaded = context.load();
    let (kind, path) = match find(&loaded, name) {
        Some(found) => (found.kind(), found.path().to_owned()),
        None => (Kind::Imperative, format!("{DIRECTORY}/{name}.json")),
    };
    let mut lines = unified("options", &options(old)?, &options(new)?);
    let plans = [old, new].map(|intent| plan_one(name, kind, &path, intent));
    let unit = unit_name(name);
    let folder = format!("{unit}.d/");
    // The links are told by the option; of the files, those that have a text.
    let [before, after] = &plans;
    let mut paths: Vec<&String> = before.files.keys().chain(after.files.keys()).collect();
    paths.retain(|path| path.starts_with(&folder) || path.starts_with(OWN_DIRECTORY));
    paths.sort();
    paths.dedup();
    for path in paths {
        let text = |plan: &nixos_nspawn_units::plan::Plan| match plan.files.get(path) {
            Some(Entry::File(text)) => settings(text),
            _ => String::new(),
        };
        lines.extend(unified(path, &text(before), &text(after)));
    }
    Ok(lines)
}

/// What the packages of two systems differ in, in Nix's words; empty if it sees no difference. `None` where that
/// cannot be found out: below `--root`, or when one of them is gone from the store.
pub(crate) fn closure(context: &Context, old: &StorePath, new: &StorePath) -> Option<String> {
    let there = |path: &StorePath| fs::symlink_metadata(path.as_str()).is_ok();
    if !context.live() || !there(old) || !there(new) {
        return None;
    }
    if old == new {
        return Some(String::new());
    }
    Nix::find(context).ok()?.diff_closures(old, new)
}

/// One option per line, the system and the start with the host among them.
fn options(intent: &Intent) -> Result<String> {
    let mut lines =
        vec![format!("toplevel = {}", intent.toplevel), format!("autostart = {}", intent.starts_at_boot())];
    lines.extend(option_lines(&serde_json::to_value(&intent.container)?));
    Ok(lines.join("\n") + "\n")
}

/// A generated text without what only says that something differs: comments and the hash of the plan.
fn settings(text: &str) -> String {
    let hash = format!("Environment={PLAN_VARIABLE}=");
    let header = ["# Written by ".to_owned(), format!("# {MARKER}"), hash];
    let lines = text.lines().filter(|line| !header.iter().any(|start| line.starts_with(start)));
    // Blank lines below the header go with it.
    lines.skip_while(|line| line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// Two texts as a unified diff with three lines of context.
fn unified(name: &str, old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let text = diff.unified_diff().header(&format!("a/{name}"), &format!("b/{name}")).to_string();
    text.lines().map(str::to_owned).collect()
}
