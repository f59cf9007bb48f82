//! What differs between two intents of a container, or two of its generations: the options, the generated files and the
//! closure. Intents and store paths go in, lines of a unified diff come out, so that every tool for diffs reads them.
//! Nothing is changed here, and nothing of the container is run.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, MARKER, OWN_DIRECTORY, Plan, plan_one};
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};
use nixos_nspawn_units::store::{DIRECTORY, Kind};
use nixos_nspawn_units::value::StorePath;
use similar::TextDiff;

use crate::cli::Diff;
use crate::context::{Context, find, machine_name};
use crate::exit::Failed;
use crate::generations::{Generation, generations};
use crate::list_generations::{numbered, readable};
use crate::nix::Nix;
use crate::output::{Tone, painted, print, tell};
use crate::profile;
use crate::show_text::option_lines;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Diff) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let recorded = readable(context, &name)?;
    let all = generations(context, &name, &recorded);
    let current = || {
        let number = recorded.generation.ok_or_else(|| {
            Failed::Usage(format!("container '{name}' has no current generation; name two by number"))
        })?;
        numbered(&all, &name, number)
    };
    let new = arguments.to.map_or_else(current, |number| numbered(&all, &name, number))?;
    let old = match arguments.from {
        Some(number) => numbered(&all, &name, number)?,
        None => all.iter().rfind(|one| one.number < new.number).ok_or_else(|| {
            let number = new.number;
            Failed::Usage(format!("container '{name}' has no generation before {number}, nothing to compare"))
        })?,
    };
    let [before, after] = [intent(context, &name, &recorded, old)?, intent(context, &name, &recorded, new)?];
    let mut lines = between(context, &name, &before, &after)?;
    if lines.is_empty() {
        let (old, new) = (old.number, new.number);
        tell(&format!("generations {old} and {new} of container '{name}' have the same options and files"));
    }
    if let Some(text) = closure(context, &before.toplevel, &after.toplevel) {
        // A line of its own keeps it apart for tools that read diffs.
        lines.push("closure:".to_owned());
        lines.extend(text.lines().map(str::to_owned));
    }
    if !context.live() {
        tell("the closures were not compared, which needs Nix and not --root");
    }
    if lines.is_empty() {
        return Ok(());
    }
    let head = format!("generation {} -> {}", old.number, new.number);
    let head = painted(&head, Tone::Strong, context.color);
    print(&lines.iter().fold(head + "\n", |text, line| text + &coloured(line, context.color) + "\n"))
}

/// What a generation of the container would be recorded as.
fn intent(
    context: &Context,
    name: &MachineName,
    recorded: &Intent,
    generation: &Generation,
) -> Result<Intent> {
    let Generation { number, path, toplevel, current, .. } = generation;
    if *current {
        return Ok(recorded.clone());
    }
    if toplevel.is_none() {
        anyhow::bail!(
            "generation {number} of container '{name}': {path} is gone from the store, so it cannot be compared"
        );
    }
    let built = profile::read(context, path, name)?;
    let mut intent = Intent { toplevel: built.toplevel, container: built.container, ..recorded.clone() };
    intent.generation = Some(*number);
    // As when it is recorded: the administrator's default is resolved.
    if intent.container.timeout_start_sec.is_none() {
        intent.container.timeout_start_sec.clone_from(&context.config.timeout_start_sec);
    }
    Ok(intent)
}

fn coloured(line: &str, color: bool) -> String {
    let tone = match line.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Doubtful,
        _ => Tone::Plain,
    };
    painted(line, tone, color)
}

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
        let text = |plan: &Plan| match plan.files.get(path) {
            Some(Entry::File(text)) => settings(text),
            _ => String::new(),
        };
        lines.extend(unified(path, &text(before), &text(after)));
    }
    Ok(lines)
}

/// What the packages of two systems differ in, in Nix's words, lines without an end. `None` where Nix sees no difference
/// or cannot be asked: below `--root`, or when one of them is gone from the store.
pub(crate) fn closure(context: &Context, old: &StorePath, new: &StorePath) -> Option<String> {
    let there = |path: &StorePath| fs::symlink_metadata(path.as_str()).is_ok();
    if !context.live() || old == new || !there(old) || !there(new) {
        return None;
    }
    let text = Nix::find(context).ok()?.diff_closures(old, new)?;
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
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
