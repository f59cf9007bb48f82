//! `import nixos-container`, `import python-nixos-nspawn`, `import nspawn` and `import --undo`: takes containers over from
//! another program, and gives them back.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::Reach;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::change::give_back::unit;
use crate::change::import_foreign;
use crate::change::import_foreign::{ForeignOptions, Translated};
use crate::cli::{ImportForeign, ImportNspawn, TakeOver};
use crate::command::begin::begin;
use crate::command::several::{each, machine_names};
use crate::decision::overrides::lines;
use crate::fact::importable;
use crate::fact::lookup::machine_name;
use crate::host::files::is_there;
use crate::host::imported::{Imported, Tool};
use crate::host::state_directory;

/// Imports containers of a program.
pub(crate) fn run(context: &Context, tool: Tool, arguments: &ImportForeign) -> Result<()> {
    context.need_live("import")?;
    let given = if arguments.all { importable::names(context, tool)? } else { arguments.containers.clone() };
    let names = machine_names(&given)?;
    all(context, tool, &names, (options(&arguments.how, false), arguments.how.dry_run))
}

/// Imports containers by their `.nspawn` files.
pub(crate) fn nspawn(context: &Context, arguments: &ImportNspawn) -> Result<()> {
    context.need_live("import")?;
    let names: Vec<MachineName> =
        arguments.files.iter().map(|file| named_by(context, file)).collect::<Result<_>>()?;
    let how = options(&arguments.how, arguments.allow_unsigned);
    all(context, Tool::Nspawn, &names, (how, arguments.how.dry_run))
}

fn options(how: &TakeOver, allow_unsigned: bool) -> ForeignOptions {
    let TakeOver { start, allow_user_store, allow_taken_ports, .. } = *how;
    ForeignOptions { start, allow_user_store, allow_taken_ports, allow_unsigned }
}

/// Returns the name of the container that a file is of. Elsewhere it would rule no container, and have no name.
fn named_by(context: &Context, file: &Path) -> Result<MachineName> {
    let absolute = std::path::absolute(file)?;
    let [etc, run] = context.scope.nspawn_files;
    let rules = [etc, run].iter().any(|folder| absolute.parent() == Some(Path::new(folder)));
    let name = absolute.file_name().and_then(|file| file.to_str()?.strip_suffix(".nspawn"));
    let Some(name) = name.filter(|_| rules) else {
        return Err(Failed::Usage(format!(
            "{}: is not a file {etc}/NAME.nspawn, and systemd-nspawn uses no other; copy it there first",
            file.display()
        ))
        .into());
    };
    if !is_there(&absolute)? {
        return Err(Failed::Usage(format!("{}: does not exist", file.display())).into());
    }
    machine_name(name)
}

fn all(
    context: &Context,
    tool: Tool,
    names: &[MachineName],
    (how, dry_run): (ForeignOptions, bool),
) -> Result<()> {
    if !dry_run {
        begin(context, "import")?;
    }
    context.need_systemd()?;
    if names.is_empty() {
        return context.answer(&Vec::<String>::new(), |_| "there is no container to import\n".to_owned());
    }
    each(context, names, |name| name, |name| one(context, tool, name, (how, dry_run)))
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
    /// Store paths that are copied from the root into the host's store.
    copied: Vec<String>,
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
    (how, dry_run): (ForeignOptions, bool),
) -> Result<(ForeignAnswer, String)> {
    let from = import_foreign::translated(context, tool, name)?;
    let mut answer = ForeignAnswer {
        name: name.clone(),
        program: tool,
        result: ImportResult::WouldImport,
        runs: from.import.runs || how.start,
        moved: moved(&from),
        copied: from.copy.iter().flat_map(|copy| copy.paths.clone()).collect(),
        options: lines(&from.import.layer),
        missing: from.missing.clone(),
        refusal: from.refusal.as_ref().map(ToString::to_string),
        intent: None,
    };
    if dry_run && from.copy.is_some() {
        // Its options are not readable before.
    } else if dry_run {
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
    if !answer.copied.is_empty() {
        let verb = if would { "would copy" } else { "copied" };
        let count = answer.copied.len();
        lines.push(format!(
            "{verb} store paths from /var/lib/machines/{name} to the store of the host: {count}"
        ));
    }
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
    if would && answer.intent.is_none() {
        lines.push("the intent is known when the system is in the host's store".to_owned());
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
        copied: Vec::new(),
        options: Vec::new(),
        missing: Vec::new(),
        refusal: None,
        intent: None,
    };
    Ok((answer, lines.join("\n") + "\n"))
}
