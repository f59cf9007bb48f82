//! `import nixos-container`, `import python-nixos-nspawn` and `import --undo`: takes containers over from another program, and gives them back.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::Reach;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::give_back::unit;
use crate::change::import_foreign;
use crate::change::import_foreign::{ForeignOptions, Translated};
use crate::cli::ImportForeign;
use crate::command::begin::begin;
use crate::command::several::{each, machine_names};
use crate::decision::overrides::lines;
use crate::fact::importable;
use crate::host::imported::{Imported, Tool};
use crate::host::state_directory;

/// Imports containers of a program.
pub(crate) fn run(context: &Context, tool: Tool, arguments: &ImportForeign) -> Result<()> {
    context.need_live("import")?;
    let given = if arguments.all { importable::names(context, tool)? } else { arguments.containers.clone() };
    let names = machine_names(&given)?;
    if !arguments.dry_run {
        begin(context, "import")?;
    }
    context.need_systemd()?;
    if names.is_empty() {
        return context.answer(&Vec::<String>::new(), |_| "there is no container to import\n".to_owned());
    }
    each(context, &names, |name| name, |name| one(context, tool, name, arguments))
}

/// Gives imported containers back.
pub(crate) fn undo(context: &Context, names: &[String], dry_run: bool) -> Result<()> {
    context.need_live("import")?;
    let names = machine_names(names)?;
    if !dry_run {
        begin(context, "import")?;
    }
    context.need_systemd()?;
    each(context, &names, |name| name, |name| undo_one(context, name, dry_run))
}

/// What an import does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum ImportResult {
    Imported,
    WouldImport,
    /// Given back to the other program.
    Undone,
    WouldUndo,
}

/// A file or directory that is moved.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Moved {
    from: PathBuf,
    to: PathBuf,
}

/// One container's import, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ForeignAnswer {
    name: MachineName,
    /// The program on the other side.
    program: Tool,
    result: ImportResult,
    /// Whether the container runs afterwards.
    runs: bool,
    /// What is moved.
    moved: Vec<Moved>,
    /// Options of the other program that are now set on the host, as lines.
    options: Vec<String>,
    /// What has no counterpart.
    missing: Vec<String>,
    /// What keeps the container from being imported now, in a dry run.
    refusal: Option<String>,
    /// The intent.
    intent: Option<Intent>,
}

fn one(
    context: &Context,
    tool: Tool,
    name: &MachineName,
    arguments: &ImportForeign,
) -> Result<(ForeignAnswer, String)> {
    let how = ForeignOptions {
        start: arguments.start,
        allow_user_store: arguments.allow_user_store,
        allow_taken_ports: arguments.allow_taken_ports,
    };
    let from = import_foreign::translated(context, tool, name)?;
    let mut answer = ForeignAnswer {
        name: name.clone(),
        program: tool,
        result: ImportResult::WouldImport,
        runs: from.import.runs || arguments.start,
        moved: moved(&from),
        options: lines(&from.import.layer),
        missing: from.missing.clone(),
        refusal: from.refusal.as_ref().map(ToString::to_string),
        intent: None,
    };
    if arguments.dry_run {
        let draft = import_foreign::draft(context, name, &from, how)?;
        answer.intent = Some(draft.intent);
    } else {
        let created = import_foreign::import(context, name, from, how)?;
        answer.result = ImportResult::Imported;
        answer.runs = created.started;
        answer.intent = Some(created.intent);
    }
    let text = text(&answer);
    Ok((answer, text))
}

fn moved(from: &Translated) -> Vec<Moved> {
    from.moves.iter().cloned().map(|(from, to)| Moved { from, to }).collect()
}

/// Returns the text for people.
fn text(answer: &ForeignAnswer) -> String {
    let name = &answer.name;
    let would = answer.result == ImportResult::WouldImport;
    let mut lines = Vec::new();
    lines.extend(answer.refusal.iter().map(|why| format!("cannot be imported now: {why}")));
    let verb = if would { "would move" } else { "moved" };
    lines.extend(
        answer.moved.iter().map(|one| format!("{verb} {} to {}", one.from.display(), one.to.display())),
    );
    lines.extend(answer.options.iter().map(|option| format!("option: {option}")));
    lines.extend(answer.missing.iter().map(|what| format!("no counterpart: {what}")));
    if let Some(intent) = &answer.intent {
        if would {
            lines.push(format!("would write /etc/nixos-nspawn/{name}.json:"));
            let text = intent.to_json().unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("  {line}")));
        }
        lines.extend(Reach::of(&intent.container).lines().iter().map(|line| format!("host reach: {line}")));
        let boot = if intent.starts_at_boot() { "starts" } else { "does not start" };
        let now = match (would, answer.runs) {
            (true, true) => "would be imported, and run",
            (true, false) => "would be imported, and not be started",
            (false, true) => "is imported, and runs",
            (false, false) => "is imported, and does not run",
        };
        lines.push(format!("container '{name}' {now}; it {boot} with the host"));
    }
    if !would {
        lines.push(format!("note: 'nixos-nspawn import --undo {name}' gives it back"));
    }
    lines.join("\n") + "\n"
}

fn undo_one(context: &Context, name: &MachineName, dry_run: bool) -> Result<(ForeignAnswer, String)> {
    let imported = import_foreign::undo(context, name, dry_run)?;
    let Imported { tool, moves, copied_from } = &imported;
    let moves: Vec<Moved> =
        moves.iter().map(|one| Moved { from: one.to(context, name), to: one.from.clone() }).collect();
    let verb = if dry_run { "would move" } else { "moved" };
    let mut lines: Vec<String> = moves
        .iter()
        .rev()
        .map(|one| format!("{verb} {} back to {}", one.from.display(), one.to.display()))
        .collect();
    if let Some(copied) = copied_from {
        let state = state_directory::directory(context, name);
        let (state, copied) = (state.display(), copied.display());
        lines.push(format!(
            "note: {copied} is as it was before the import; what changed since stays in {state}"
        ));
    }
    let unit = unit(*tool, name);
    lines.push(match dry_run {
        true => format!("container '{name}' would be stopped and given back"),
        false => format!("container '{name}' is given back; 'systemctl start {unit}' starts it"),
    });
    let answer = ForeignAnswer {
        name: name.clone(),
        program: *tool,
        result: if dry_run { ImportResult::WouldUndo } else { ImportResult::Undone },
        runs: false,
        moved: moves,
        options: Vec::new(),
        missing: Vec::new(),
        refusal: None,
        intent: None,
    };
    Ok((answer, lines.join("\n") + "\n"))
}
