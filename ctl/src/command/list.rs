//! `list`: one line per container with notes below the table, or one JSON object per container. Refused containers
//! and incomplete commands are listed like any other and are not errors; only an unreadable directory is.

use anyhow::Result;
use nixos_nspawn_units::store::{DIRECTORY, Kind};

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Cell, Tone, painted, table};
use crate::change::tidy::tidy;
use crate::cli::{KindFilter, List};
use crate::fact::notes::{Note, notes, state, yes_no};
use crate::fact::overview::{Container, Fault, Overview};
use crate::fact::summary::{Summary, known_autostart};

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
        context
            .screen
            .print_json(&containers.iter().map(|container| Summary::of(container)).collect::<Vec<_>>())?;
    }
    let faults: Vec<&Fault> = overview.faults.iter().filter(|fault| wanted(fault.kind)).collect();
    if context.json {
        faults.iter().for_each(|fault| context.screen.tell(&fault.text));
    } else {
        context.screen.print(&text(&containers, &faults, context.color))?;
    }
    overview.troubles().for_each(|trouble| context.screen.tell(trouble));
    if faults.iter().any(|fault| fault.hides) {
        return Err(Failed::Silent.into());
    }
    if containers.is_empty() && faults.is_empty() && !context.json {
        context.screen.tell(&nothing(arguments.kind));
    }
    Ok(())
}

fn nothing(kind: Option<KindFilter>) -> String {
    match kind {
        None => format!("no containers in {DIRECTORY}; 'nixos-nspawn create' creates one"),
        Some(KindFilter::Imperative) => {
            "no imperative containers; 'nixos-nspawn create' creates one".to_owned()
        }
        Some(KindFilter::Declarative) => "no declarative containers".to_owned(),
    }
}

/// Returns the table, and below it the notes that do not fit into a column.
fn text(containers: &[&Container], faults: &[&Fault], color: bool) -> String {
    let remarks: Vec<_> = containers.iter().map(|container| notes(container)).collect();
    let mut header = vec!["NAME", "TYPE", "STATE", "AUTOSTART"];
    // The first four columns are always there, for scripts; the last is for people.
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

/// Returns the most important keyword: more would not fit into 80 columns, and the sentences follow below.
fn brief(notes: &[Note]) -> String {
    let Some(first) = notes.first() else { return String::new() };
    let more = notes.iter().any(|note| note.short != first.short);
    format!("{}{}", first.short, if more { ", …" } else { "" })
}
