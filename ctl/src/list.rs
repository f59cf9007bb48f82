//! `list`: one line per container, remarks below the table; or one JSON object per container. Refused containers and
//! half done commands are in it like any other, and are no failure: only a folder that cannot be read is one.

use anyhow::Result;
use nixos_nspawn_units::copies::{GENERATOR_DIRECTORY, sweep, sweep_networks};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::plan::OWN_DIRECTORY;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Kind};
use serde::Serialize;

use crate::cli::{KindFilter, List};
use crate::context::Context;
use crate::exit::Failed;
use crate::inspect::{Container, Fault, Overview};
use crate::notes::{Note, notes, state, yes_no};
use crate::output::{Cell, Tone, painted, print, print_json, table, tell};
use crate::record::Step;

/// A container as scripts see it. `name`, `unit_file` and `is_imperative` are python-nixos-nspawn's keys.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    name: &'a str,
    /// The generated .nspawn file; null if there is none, because the container is refused.
    unit_file: Option<String>,
    is_imperative: bool,
    #[serde(rename = "type")]
    kind: Kind,
    unit: String,
    /// `ActiveState=` and `SubState=` of the unit; null where systemd does not run or gave no answer.
    state: Option<&'a str>,
    sub_state: Option<&'a str>,
    result: Option<&'a str>,
    /// Null where the caller may not read the intent, or there is none.
    autostart: Option<bool>,
    masked: bool,
    enabled_links: &'a [String],
    toplevel: Option<&'a str>,
    generation: Option<u64>,
    intent_file: Option<&'a str>,
    /// `creating` or `removing`, if that is under way or was killed.
    unfinished: Option<&'a str>,
    /// Why its start is refused, or why it is only half there.
    error: Option<String>,
    warnings: &'a [String],
    reload_needed: bool,
    restart_needed: bool,
}

impl<'a> Summary<'a> {
    /// What scripts are told of the container.
    pub(crate) fn of(container: &'a Container) -> Self {
        let Container { name, kind, intent_file, intent, hash, state, .. } = container;
        let said = |value: &'a str| Some(value).filter(|value| !value.is_empty());
        Self {
            name: name.as_str(),
            unit_file: hash.is_some().then(|| unit_file(container)),
            is_imperative: *kind == Kind::Imperative,
            kind: *kind,
            unit: unit_name(name),
            state: state.as_ref().and_then(|state| said(&state.active)),
            sub_state: state.as_ref().and_then(|state| said(&state.sub)),
            result: state.as_ref().and_then(|state| said(&state.result)),
            autostart: known_autostart(container),
            masked: container.masked,
            enabled_links: &container.enabled_links,
            toplevel: intent.as_ref().map(|intent| intent.toplevel.as_str()),
            generation: intent.as_ref().and_then(|Intent { generation, .. }| *generation),
            intent_file: intent_file.as_deref(),
            unfinished: container.unfinished.map(|unfinished| match unfinished.step {
                Step::Creating => "creating",
                Step::Updating => "updating",
                Step::Removing => "removing",
            }),
            error: container
                .refusal
                .clone()
                .or_else(|| notes(container).into_iter().find(|n| n.tone == Tone::Bad).map(|n| n.long)),
            warnings: &container.warnings,
            reload_needed: container.reload_needed,
            restart_needed: container.restart_needed,
        }
    }
}

/// Whether it starts with the host, as far as the caller can know.
pub(crate) fn known_autostart(container: &Container) -> Option<bool> {
    (container.intent_file.is_some() && !container.unreadable).then_some(container.autostart)
}

/// The path of the generated .nspawn file.
fn unit_file(container: &Container) -> String {
    format!("/{GENERATOR_DIRECTORY}/{OWN_DIRECTORY}/{}.nspawn", container.name)
}

/// Removes what stopped containers without an intent have left in /run, where that may be done.
pub(crate) fn tidy(context: &Context) {
    if context.live() && rustix::process::geteuid().is_root() {
        sweep(&context.root);
        sweep_networks(&context.root);
    }
}

/// Runs the command.
pub(crate) fn list(context: &Context, arguments: &List) -> Result<()> {
    tidy(context);
    let overview = Overview::gather(context)?;
    let wanted = |kind: Kind| match arguments.kind {
        None => true,
        Some(KindFilter::Imperative) => kind == Kind::Imperative,
        Some(KindFilter::Declarative) => kind == Kind::Declarative,
    };
    let containers: Vec<&Container> = overview.containers.values().filter(|c| wanted(c.kind)).collect();
    if context.json {
        print_json(&containers.iter().map(|container| Summary::of(container)).collect::<Vec<_>>())?;
    }
    let faults: Vec<&Fault> = overview.faults.iter().filter(|fault| wanted(fault.kind)).collect();
    if context.json {
        faults.iter().for_each(|fault| tell(&fault.text));
    } else {
        print(&text(&containers, &faults, context.color))?;
    }
    for trouble in [&overview.unknown_states, &overview.generator_fault].into_iter().flatten() {
        tell(trouble);
    }
    if faults.iter().any(|fault| fault.hides) {
        return Err(Failed::Silent.into());
    }
    if containers.is_empty() && faults.is_empty() && !context.json {
        tell(&nothing(arguments.kind));
    }
    Ok(())
}

fn nothing(kind: Option<KindFilter>) -> String {
    match kind {
        None => format!("no containers in {DIRECTORY}; 'nixos-nspawn create' makes one"),
        Some(KindFilter::Imperative) => {
            "no imperative containers; 'nixos-nspawn create' makes one".to_owned()
        }
        Some(KindFilter::Declarative) => "no declarative containers".to_owned(),
    }
}

/// The table, and below it what needs more words than a column has room for.
fn text(containers: &[&Container], faults: &[&Fault], color: bool) -> String {
    let remarks: Vec<_> = containers.iter().map(|container| notes(container)).collect();
    let mut header = vec!["NAME", "TYPE", "STATE", "AUTOSTART"];
    // The first four columns are always there, for scripts that take words; the last is for people.
    if remarks.iter().any(|notes| !notes.is_empty()) {
        header.push("NOTE");
    }
    let rows: Vec<Vec<Cell>> = containers
        .iter()
        .zip(&remarks)
        .map(|(container, notes)| {
            let (state, tone) = state(container);
            vec![
                Cell::plain(container.name.as_str()),
                Cell::plain(container.kind.to_string()),
                Cell::new(state, tone),
                Cell::plain(known_autostart(container).map_or("-", yes_no)),
                Cell::new(brief(notes), notes.first().map_or(Tone::Plain, |note| note.tone)),
            ]
        })
        .collect();
    let mut lines: Vec<String> = Vec::new();
    for (container, notes) in containers.iter().zip(&remarks) {
        let line =
            |note: &Note| format!("{}: {}\n", painted(container.name.as_str(), note.tone, color), note.long);
        lines.extend(notes.iter().map(line));
    }
    lines.extend(faults.iter().map(|fault| format!("{}\n", fault.text)));
    let table = if rows.is_empty() { String::new() } else { table(&header, &rows, color) };
    let gap = if rows.is_empty() || lines.is_empty() { "" } else { "\n" };
    table + gap + &lines.concat()
}

/// The weightiest word: a line with more would not fit into 80 columns, and the sentences follow below.
fn brief(notes: &[Note]) -> String {
    let Some(first) = notes.first() else { return String::new() };
    let more = notes.iter().any(|note| note.short != first.short);
    format!("{}{}", first.short, if more { ", …" } else { "" })
}
