//! `list`: one line per container with notes below the table, or one JSON object per container. Refused containers
//! and incomplete commands are listed like any other and are not errors; only an unreadable directory is.

use std::cmp::Reverse;
use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::store::{DIRECTORY, Kind};

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::base::pattern::is_like;
use crate::base::table::{Cell, Column, Table, wrapped};
use crate::base::time;
use crate::change::tidy::tidy;
use crate::cli::{KindFilter, List, SortKey};
use crate::fact::notes::{Note, notes, state, state_word};
use crate::fact::overview::{Container, Fault, Overview};
use crate::fact::summary::{Summary, version};

/// Runs the command.
pub(crate) fn list(context: &Context, arguments: &List) -> Result<()> {
    tidy(context);
    let overview = Overview::gather(context)?;
    let containers = chosen(&overview, arguments);
    let faults: Vec<&Fault> = overview
        .faults
        .iter()
        .filter(|fault| is_wanted(arguments, fault.kind) && (fault.hides || arguments.patterns.is_empty()))
        .collect();
    if context.json {
        let summaries = containers.iter().map(|container| Summary::of(context, container));
        context.screen.print_json(&summaries.collect::<Vec<_>>())?;
        faults.iter().for_each(|fault| context.screen.tell(&fault.text));
    } else if arguments.quiet {
        let names: Vec<String> = containers.iter().map(|container| format!("{}\n", container.name)).collect();
        context.screen.print(&names.concat())?;
    } else {
        context.screen.print(&text(context, &containers, &faults, arguments.no_legend))?;
    }
    overview.troubles().for_each(|trouble| context.screen.tell(trouble));
    if faults.iter().any(|fault| fault.hides) {
        return Err(Failed::Silent.into());
    }
    if containers.is_empty() && faults.is_empty() && !context.json && !arguments.quiet {
        context.screen.tell(&nothing(arguments));
    }
    Ok(())
}

fn is_wanted(arguments: &List, kind: Kind) -> bool {
    match arguments.kind {
        None => true,
        Some(KindFilter::Imperative) => kind == Kind::Imperative,
        Some(KindFilter::Declarative) => kind == Kind::Declarative,
    }
}

/// Returns the containers that the arguments select, in their order.
fn chosen<'a>(overview: &'a Overview, arguments: &List) -> Vec<&'a Container> {
    let matches = |container: &&Container| {
        let name = container.name.as_str();
        is_wanted(arguments, container.kind)
            && (arguments.patterns.is_empty() || arguments.patterns.iter().any(|one| is_like(name, one)))
            && (arguments.state.is_empty() || arguments.state.iter().any(|one| one == state_word(container)))
    };
    let mut containers: Vec<&Container> = overview.containers.values().filter(matches).collect();
    let since = |container: &Container| container.state.as_ref().filter(|_| container.runs())?.since.clone();
    match arguments.sort {
        SortKey::Name => {}
        SortKey::State => containers.sort_by_key(|container| state(container).0),
        SortKey::Uptime => {
            containers.sort_by_key(|container| (Reverse(since(container).is_some()), since(container)));
        }
    }
    containers
}

fn nothing(arguments: &List) -> String {
    if !arguments.patterns.is_empty() || !arguments.state.is_empty() {
        return "no such containers; 'nixos-nspawn list' lists all".to_owned();
    }
    match arguments.kind {
        None => format!("no containers in {DIRECTORY}; 'nixos-nspawn create' creates one"),
        Some(KindFilter::Imperative) => {
            "no imperative containers; 'nixos-nspawn create' creates one".to_owned()
        }
        Some(KindFilter::Declarative) => "no declarative containers".to_owned(),
    }
}

/// The columns, and how they give way on a narrow terminal.
const COLUMNS: [Column; 6] = [
    Column::shrinking("NAME", 8),
    Column::fixed("STATE"),
    Column::leaving("ADDRESS", 2),
    Column::leaving("VERSION", 0),
    Column::leaving("UPTIME", 1),
    Column::shrinking("NOTE", 6),
];

/// Returns the table, and below it the notes that do not fit into a column.
fn text(context: &Context, containers: &[&Container], faults: &[&Fault], no_legend: bool) -> String {
    let (color, width) = (context.color, context.screen.width());
    let remarks: Vec<_> = containers.iter().map(|container| notes(container)).collect();
    let now = SystemTime::now();
    let rows = containers.iter().zip(&remarks).map(|(container, notes)| {
        let (state, tone) = state(container);
        vec![
            Cell::plain(container.name.as_str()),
            Cell::new(state, tone),
            Cell::plain(container.addresses.first().map_or("", String::as_str)),
            Cell::plain(version(context, container).unwrap_or_default()),
            Cell::plain(uptime(container, now).unwrap_or_default()),
            Cell::new(brief(notes), notes.first().map_or(Tone::Plain, |note| note.tone)),
        ]
    });
    let table = Table { columns: &COLUMNS, rows: rows.collect() };
    let mut out = if containers.is_empty() { String::new() } else { table.text(!no_legend, width, color) };
    if no_legend {
        return out;
    }
    let mut lines: Vec<String> = Vec::new();
    for (container, notes) in containers.iter().zip(&remarks) {
        let line = |note: &Note| {
            let line = wrapped(&format!("{}: {}", container.name, note.long), width);
            let rest = line.strip_prefix(container.name.as_str()).unwrap_or(&line);
            format!("{}{rest}\n", painted(container.name.as_str(), note.tone, color))
        };
        lines.extend(notes.iter().map(line));
    }
    lines.extend(faults.iter().map(|fault| format!("{}\n", wrapped(&fault.text, width))));
    if !out.is_empty() && !lines.is_empty() {
        out.push('\n');
    }
    out + &lines.concat()
}

/// Returns how long a container has been running.
fn uptime(container: &Container, now: SystemTime) -> Option<String> {
    let since = container.state.as_ref().filter(|_| container.runs())?.since.as_deref()?;
    Some(time::span(now.duration_since(time::of(since)?).unwrap_or_default()))
}

/// Returns the most important keyword: more would not fit into 80 columns, and the sentences follow below.
fn brief(notes: &[Note]) -> String {
    let Some(first) = notes.first() else { return String::new() };
    let more = notes.iter().any(|note| note.short != first.short);
    format!("{}{}", first.short, if more { ", …" } else { "" })
}
