//! The differences between two intents: options, generated files and closure.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, MARKER, OWN_DIRECTORY, Plan, plan_one};
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};
use nixos_nspawn_units::store::{DIRECTORY, Kind};
use nixos_nspawn_units::value::StorePath;
use serde::Serialize;
use serde_json::{Value, json};
use similar::TextDiff;

use crate::base::host::Host;
use crate::fact::lookup::find;
use crate::fact::option_lines::option_lines;
use crate::nix::tool::Nix;

/// The differences between two intents.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Difference {
    options: Vec<OptionChange>,
    files: Vec<FileChange>,
    /// The package differences, one per line, as Nix prints them. Null if there are none or Nix cannot be asked: with
    /// `--root`, or if one of the systems is gone from the store.
    pub(crate) closure: Option<String>,
    /// The options as a unified diff with context.
    #[serde(skip)]
    shown: String,
    /// The line about the systems, if they differ.
    #[serde(skip)]
    systems: Option<String>,
}

/// An option that differs; null stands for its default.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct OptionChange {
    option: String,
    old: Value,
    new: Value,
}

/// A generated file that differs.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct FileChange {
    path: String,
    /// The unified diff.
    diff: String,
}

impl Difference {
    /// Returns whether there are no differences.
    pub(crate) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.files.is_empty() && self.closure.is_none()
    }

    /// Returns the options and files as a unified diff, followed by one line about the systems.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let files = self.files.iter().flat_map(|file| file.diff.lines());
        self.shown.lines().chain(files).chain(self.systems.as_deref()).collect()
    }
}

/// Compares the options, generated files and closures of two intents.
pub(crate) fn between(host: &Host, name: &MachineName, old: &Intent, new: &Intent) -> Result<Difference> {
    let loaded = host.load_one(name);
    let (kind, path) = match find(&loaded, name) {
        Some(found) => (found.kind(), found.path().to_owned()),
        None => (Kind::Imperative, format!("{DIRECTORY}/{name}.json")),
    };
    let (before, after) = (options(old)?, options(new)?);
    // Each file names the system, so its change is shown only once.
    let same_system = Intent { toplevel: old.toplevel.clone(), ..new.clone() };
    let shown = unified("options", &option_text(&before), &option_text(&options(&same_system)?));
    let plans = [old, &same_system].map(|intent| plan_one(name, kind, &path, intent));
    let systems =
        (old.toplevel != new.toplevel).then(|| format!("system: {} → {}", old.toplevel, new.toplevel));
    let unit = unit_name(name);
    let folder = format!("{unit}.d/");
    // Links follow from the autostart option; only regular files have a text to compare.
    let [with_old, with_new] = &plans;
    let mut paths: Vec<&String> = with_old.files.keys().chain(with_new.files.keys()).collect();
    paths.retain(|path| path.starts_with(&folder) || path.starts_with(OWN_DIRECTORY));
    paths.sort();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let text = |plan: &Plan| match plan.files.get(path) {
            Some(Entry::File(text)) => settings(text),
            _ => String::new(),
        };
        let diff = unified(path, &text(with_old), &text(with_new));
        if !diff.is_empty() {
            files.push(FileChange { path: format!("/{GENERATOR_DIRECTORY}/{path}"), diff });
        }
    }
    let closure = closure(host, &old.toplevel, &new.toplevel);
    Ok(Difference { options: changed(&before, &after), files, closure, shown, systems })
}

/// Returns the package differences of two systems, if Nix can be asked.
fn closure(host: &Host, old: &StorePath, new: &StorePath) -> Option<String> {
    let there = |path: &StorePath| fs::symlink_metadata(path.as_str()).is_ok();
    if !host.live() || old == new || !there(old) || !there(new) {
        return None;
    }
    let text = Nix::find(host).ok()?.diff_closures(old, new)?;
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

/// Returns the options, including the system and autostart.
fn options(intent: &Intent) -> Result<Vec<(String, Value)>> {
    let mut options = vec![
        ("toplevel".to_owned(), intent.toplevel.as_str().into()),
        ("autostart".to_owned(), intent.starts_at_boot().into()),
    ];
    if let Value::Object(fields) = serde_json::to_value(&intent.container)? {
        options.extend(fields);
    }
    Ok(options)
}

/// Formats the options one per line, with one line per list item.
fn option_text(options: &[(String, Value)]) -> String {
    let one = |(name, value): &(String, Value)| option_lines(&json!({ name: value }));
    options.iter().flat_map(one).map(|line| line + "\n").collect()
}

/// Returns the options that differ, in their order.
fn changed(old: &[(String, Value)], new: &[(String, Value)]) -> Vec<OptionChange> {
    let value = |options: &[(String, Value)], name: &str| {
        options.iter().find(|(option, _)| option == name).map_or(Value::Null, |(_, value)| value.clone())
    };
    let only_new = new.iter().filter(|(name, _)| !old.iter().any(|(other, _)| other == name));
    let names = old.iter().chain(only_new).map(|(name, _)| name);
    let changes =
        names.map(|name| OptionChange { option: name.clone(), old: value(old, name), new: value(new, name) });
    changes.filter(|change| change.old != change.new).collect()
}

/// Returns a generated text without comments and plan hash, which differ whenever anything else does.
fn settings(text: &str) -> String {
    let hash = format!("Environment={PLAN_VARIABLE}=");
    let header = ["# Written by ".to_owned(), format!("# {MARKER}"), hash];
    let lines = text.lines().filter(|line| !header.iter().any(|start| line.starts_with(start)));
    // Drops the blank lines below the header as well.
    lines.skip_while(|line| line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// Returns a unified diff of two texts with three lines of context.
fn unified(name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}
