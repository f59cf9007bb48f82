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
use crate::base::table::wrapped;
use crate::change::tidy::tidy;
use crate::cli::{KindFilter, List, SortKey};
use crate::command::listed::{Row, table};
use crate::fact::notes::{Note, brief, notes, state, state_word};
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
    let since = |container: &Container| since(container).map(str::to_owned);
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

/// Returns the table, and below it the notes that do not fit into a column.
fn text(context: &Context, containers: &[&Container], faults: &[&Fault], no_legend: bool) -> String {
    let (color, width) = (context.color, context.screen.width());
    let remarks: Vec<_> = containers.iter().map(|container| notes(container)).collect();
    let words: Vec<(String, String)> = containers
        .iter()
        .zip(&remarks)
        .map(|(container, notes)| {
            (version(context, container).unwrap_or_default(), brief(notes).unwrap_or_default())
        })
        .collect();
    let rows = containers.iter().zip(&remarks).zip(&words).map(|((container, notes), (version, note))| Row {
        host: "",
        name: container.name.as_str(),
        state: container.state.as_ref().map(|state| state.active.as_str()),
        address: container.addresses.first().map_or("", String::as_str),
        version,
        since: since(container),
        note: (note, notes.first().map_or(Tone::Plain, |note| note.tone)),
    });
    let rows: Vec<Row> = rows.collect();
    let mut out = table(&rows, false, !no_legend, (width, color), SystemTime::now());
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

/// Returns since when a container has been running.
fn since(container: &Container) -> Option<&str> {
    container.state.as_ref().filter(|_| container.runs())?.since.as_deref()
}
