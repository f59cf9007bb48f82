//! `list-generations NAME`: lists the generations, oldest first: each as a line of short columns with the path below,
//! or as a JSON object. It reads the links of the profile, the pins and the store, and changes nothing.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::value::StorePath;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::output::Tone;
use crate::base::table::{Cell, table};
use crate::base::time;
use crate::base::tree::open_below;
use crate::cli::Show;
use crate::fact::generations::{Generation, generations};
use crate::fact::lookup::{machine_name, readable};
use crate::host::snapshots;

/// A generation as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct GenerationEntry<'a> {
    generation: u64,
    /// When it was made; UTC, RFC 3339; null if only a pin keeps it.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
    date: Option<String>,
    /// Whether the intent records it.
    current: bool,
    /// Whether the running container has its system.
    running: bool,
    pinned: bool,
    /// Whether the profile still has it; a pin keeps it even if not.
    in_profile: bool,
    /// Whether its system is in the store; null in a tree without a store.
    present: Option<bool>,
    nixos_label: Option<String>,
    nixos_version: Option<String>,
    path: &'a str,
    toplevel: Option<&'a str>,
    /// The snapshots of its state, the newest last. Null if the caller may not see them.
    snapshots: Option<Vec<SnapshotEntry>>,
}

/// A snapshot as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct SnapshotEntry {
    path: PathBuf,
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
    date: String,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Show) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let intent = readable(context, &name)?;
    let generations = generations(context, &name, &intent)?;
    // An offline tree may have no store.
    let store = context.path("/nix/store").is_dir();
    // Only root can read them.
    let snapshots = snapshots::read(context, &name).ok();
    let of = |one: &Generation| {
        let complete = snapshots.as_ref()?.iter().filter(|snapshot| snapshot.unfinished.is_none());
        let of_it = complete.filter(|snapshot| one.has(snapshot));
        Some(
            of_it
                .map(|snapshot| {
                    let path = snapshots::path(context, &name, snapshot);
                    SnapshotEntry { path, date: snapshot.time.clone() }
                })
                .collect(),
        )
    };
    let entries: Vec<GenerationEntry> = generations
        .iter()
        .map(|one| GenerationEntry { snapshots: of(one), ..entry(context, one, store) })
        .collect();
    if context.json {
        return context.screen.print_json(&entries);
    }
    if entries.is_empty() {
        context.screen.tell(&format!(
            "container '{name}' has no generations; 'nixos-nspawn update {name}' creates one"
        ));
        return Ok(());
    }
    context.screen.print(&text(&entries, context.color))
}

fn entry<'a>(context: &Context, generation: &'a Generation, store: bool) -> GenerationEntry<'a> {
    let Generation { number, made, path, toplevel, current, running, pinned } = generation;
    let (label, version) =
        toplevel.as_ref().map_or((None, None), |system| (label(context, system), version(context, system)));
    GenerationEntry {
        generation: *number,
        date: made.map(time::utc),
        current: *current,
        running: *running,
        pinned: *pinned,
        in_profile: made.is_some(),
        present: store.then_some(toplevel.is_some()),
        nixos_label: label,
        nixos_version: version,
        path: path.as_str(),
        toplevel: toplevel.as_ref().map(|system| system.as_str()),
        snapshots: None,
    }
}

fn text(entries: &[GenerationEntry], color: bool) -> String {
    let rows: Vec<Vec<Cell>> = entries.iter().map(row).collect();
    let table = table(&["N", "DATE", "STATE", "NIXOS"], &rows, color);
    let mut lines = table.lines();
    let mut text = lines.next().map_or(String::new(), |header| format!("{header}\n"));
    for (line, entry) in lines.zip(entries) {
        let remark = match entry {
            GenerationEntry { present: Some(false), .. } => " (gone from the store)",
            GenerationEntry { in_profile: false, .. } => " (kept only by its pin)",
            _ => "",
        };
        // A store path of usual length fills a line.
        text.push_str(&format!("{line}\n    {}{remark}\n", entry.path));
    }
    text
}

fn row(entry: &GenerationEntry) -> Vec<Cell> {
    let words = [
        (entry.current, "current"),
        (entry.running, "running"),
        (entry.pinned, "pinned"),
        (entry.snapshots.as_ref().is_some_and(|all| !all.is_empty()), "with state"),
        (entry.present == Some(false), "gone"),
    ];
    let state: Vec<&str> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    let tone = match entry {
        GenerationEntry { present: Some(false), .. } => Tone::Bad,
        GenerationEntry { running: true, .. } => Tone::Good,
        _ => Tone::Plain,
    };
    // The label is the version with the administrator's tags, so it usually includes the version.
    let nixos = match (&entry.nixos_label, &entry.nixos_version) {
        (Some(label), Some(version)) if !label.contains(version.as_str()) => format!("{label} ({version})"),
        (Some(text), _) | (None, Some(text)) => text.clone(),
        (None, None) => String::new(),
    };
    let date = entry.date.as_deref().map_or("-".to_owned(), time::local_of);
    vec![
        Cell::plain(entry.generation.to_string()),
        Cell::plain(date),
        Cell::new(state.join(", "), tone),
        Cell::plain(nixos),
    ]
}

/// Returns `system.nixos.label`, which NixOS writes beside init.
fn label(context: &Context, system: &StorePath) -> Option<String> {
    let text = read(context, &format!("{system}/nixos-version"))?;
    Some(printable(text.lines().next()?)).filter(|label| !label.is_empty())
}

/// Returns `system.nixos.version`, which NixOS writes into os-release(5).
fn version(context: &Context, system: &StorePath) -> Option<String> {
    let text = read(context, &format!("{system}/etc/os-release"))?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(printable(line.trim_matches(['"', '\'']))).filter(|value| !value.is_empty())
    };
    value("BUILD_ID").or_else(|| value("VERSION_ID"))
}

/// Returns the text without control characters.
fn printable(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Reads the beginning of a file of the tree; links resolve within the tree.
fn read(context: &Context, path: &str) -> Option<String> {
    let file = open_below(&context.root, Path::new(path)).ok()?;
    let mut text = String::new();
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(16 << 10).read_to_string(&mut text).ok()?;
    Some(text)
}
