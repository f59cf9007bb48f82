//! `audit [NAME…]`: how exposed the host is to containers, from their recorded options alone: without a name a line for
//! each container, with names everything that counts. Works offline, and without privileges as far as intents can be
//! read.

use anyhow::{Error, Result};
use nixos_nspawn_units::audit::{Audit, Level, Row};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded, Stored};
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::base::table::{Cell, Column, Table, wrapped_at};
use crate::cli;
use crate::command::several::{each, machine_names};
use crate::fact::lookup::{Found, all_seen, find, no_such};

/// A container in the overview, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct OverviewAnswer<'a> {
    name: &'a MachineName,
    #[serde(rename = "type")]
    kind: Kind,
    score: f64,
    /// What the score means, as `systemd-analyze security` calls it.
    predicate: Level,
    /// The row that counts most.
    worst: Option<&'a str>,
}

/// One container as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct AuditAnswer<'a> {
    name: &'a MachineName,
    #[serde(rename = "type")]
    kind: Kind,
    score: f64,
    /// What the score means, as `systemd-analyze security` calls it.
    predicate: Level,
    rows: Vec<RowAnswer<'a>>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct RowAnswer<'a> {
    id: &'a str,
    settings: &'a [&'a str],
    what: &'a str,
    details: &'a [String],
    weight: u32,
    /// How far it is open, from 0 to 1.
    exposure: f64,
    /// Its part of the score.
    points: f64,
    /// The least score of a container with it.
    at_least: f64,
    remedy: Option<&'a str>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &cli::Audit) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    let loaded = context.load();
    if names.is_empty() {
        return overview(context, &loaded);
    }
    let mut gap = "";
    each(
        context,
        &names,
        |name| name,
        |name| {
            let stored = readable(&loaded, name)?;
            let audit = Audit::of(&stored.intent.container);
            let answer = serde_json::to_value(answer(stored, &audit))?;
            let text = format!("{gap}{}", text(name, &audit, context.screen.width(), context.color));
            gap = "\n";
            Ok((answer, text))
        },
    )
}

/// Returns a container whose intent is valid.
fn readable<'a>(loaded: &'a Loaded, name: &MachineName) -> Result<&'a Stored> {
    match find(loaded, name) {
        None => {
            all_seen(loaded)?;
            Err(no_such(name))
        }
        Some(Found::Broken(error)) => Err(Error::msg(format!("{error}; correct the file first"))),
        Some(Found::Good(stored)) => Ok(stored),
    }
}

fn overview(context: &Context, loaded: &Loaded) -> Result<()> {
    let audits = loaded.intents.iter().map(|stored| (stored, Audit::of(&stored.intent.container)));
    let mut audits: Vec<(&Stored, Audit)> = audits.collect();
    // The most exposed first, otherwise by name.
    audits.sort_by_key(|(_, audit)| std::cmp::Reverse(audit.score()));
    if context.json {
        let answers = audits.iter().map(|(stored, audit)| OverviewAnswer {
            name: &stored.name,
            kind: stored.kind,
            score: tenths(audit.score()),
            predicate: audit.level(),
            worst: worst(audit).map(|row| row.id),
        });
        context.screen.print_json(&answers.collect::<Vec<_>>())?;
    } else if audits.is_empty() && loaded.errors.is_empty() {
        context.screen.tell("no containers; 'nixos-nspawn create' creates one");
    } else {
        context.screen.print(&table(&audits, context.screen.width(), context.color))?;
    }
    for error in loaded.errors.iter().filter(|error| !error.shadowed) {
        context.screen.tell(&format!("{error}, so it is not audited"));
    }
    if loaded.errors.iter().any(|error| error.hides_containers()) {
        return Err(Failed::Silent.into());
    }
    Ok(())
}

/// Returns the row that counts most.
fn worst(audit: &Audit) -> Option<&Row> {
    audit.rows().first().filter(|row| row.exposure > 0)
}

fn tenths(score: u32) -> f64 {
    f64::from(score) / 10.0
}

fn answer<'a>(stored: &'a Stored, audit: &'a Audit) -> AuditAnswer<'a> {
    let rows = audit.rows().iter().map(|row| {
        let Row { id, settings, what, details, weight, exposure, at_least, remedy } = row;
        RowAnswer {
            id,
            settings,
            what,
            details,
            weight: *weight,
            exposure: f64::from(*exposure) / 100.0,
            points: f64::from(row.points()) / 100.0,
            at_least: tenths(*at_least),
            remedy: *remedy,
        }
    });
    AuditAnswer {
        name: &stored.name,
        kind: stored.kind,
        score: tenths(audit.score()),
        predicate: audit.level(),
        rows: rows.collect(),
    }
}

fn tone(level: Level) -> Tone {
    match level {
        Level::Perfect | Level::Safe => Tone::Good,
        Level::Ok => Tone::Plain,
        Level::Medium => Tone::Doubtful,
        Level::Exposed | Level::Unsafe | Level::Dangerous => Tone::Bad,
    }
}

/// Returns the score of all containers, one in each line.
fn table(audits: &[(&Stored, Audit)], width: Option<usize>, color: bool) -> String {
    const COLUMNS: [Column; 4] = [
        Column::shrinking("NAME", 8),
        Column::fixed("EXPOSURE"),
        Column::fixed("LEVEL"),
        Column::shrinking("WORST", 8),
    ];
    let rows = audits.iter().map(|(stored, audit)| {
        let worst = worst(audit).map(|row| format!("{}: {}", row.id, row.what));
        vec![
            Cell::plain(stored.name.as_str()),
            Cell::plain(format!("{:.1}", tenths(audit.score()))),
            Cell::new(audit.level().as_str(), tone(audit.level())),
            Cell::plain(worst.unwrap_or_default()),
        ]
    });
    let table = Table { columns: &COLUMNS, rows: rows.collect() };
    if audits.is_empty() { String::new() } else { table.text(true, width, color) }
}

/// Returns everything about one container: the rows, the score, and how it can be lessened.
fn text(name: &MachineName, audit: &Audit, width: Option<usize>, color: bool) -> String {
    const COLUMNS: [Column; 3] = [
        Column::shrinking("SETTING", 12),
        Column::fixed("EXPOSURE"),
        Column::shrinking("WHAT IT CAN DO", 12),
    ];
    let rows = audit.rows().iter().map(|row| {
        let (points, tone) = match row.exposure {
            0 => ("-".to_owned(), Tone::Good),
            _ if row.at_least > 0 => (points(row), Tone::Bad),
            _ => (points(row), Tone::Doubtful),
        };
        vec![Cell::plain(row.id), Cell::new(points, tone), Cell::plain(row.what)]
    });
    let mut out = Table { columns: &COLUMNS, rows: rows.collect() }.text(true, width, color);
    let level = painted(audit.level().as_str(), tone(audit.level()), color);
    let name = painted(name.as_str(), Tone::Strong, color);
    out.push_str(&format!("\n{name}: {:.1} {level}\n", tenths(audit.score())));
    let mut lines = String::new();
    for row in audit.rows() {
        let Some(remedy) = row.remedy else { continue };
        lines.push_str(&format!("  {}\n", wrapped_at(&format!("{}: {remedy}", row.id), width, 2, 4)));
        for detail in &row.details {
            lines.push_str(&format!("    {}\n", wrapped_at(detail, width, 4, 6)));
        }
    }
    if !lines.is_empty() {
        out.push_str("What lessens it:\n");
        out.push_str(&lines);
    }
    out
}

fn points(row: &Row) -> String {
    format!("{:.2}", f64::from(row.points()) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nixos_nspawn_units::intent::Container;

    #[test]
    fn one_container_for_people() {
        let mut container = Container { user_namespacing: true, ..Container::default() };
        container.bind_mounts = vec!["/srv/web:/srv/web:idmap".to_owned().try_into().unwrap()];
        let audit = Audit::of(&container);
        let name: MachineName = "web".parse().unwrap();
        let text = text(&name, &audit, Some(80), false);
        let wide = text.lines().filter(|line| line.chars().count() > 80 || line.contains('…'));
        assert_eq!(wide.collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(text.starts_with("SETTING"), "{text}");
        let narrow = super::text(&name, &audit, Some(40), false);
        let wide = narrow.lines().filter(|line| line.chars().count() > 40).count();
        assert_eq!(wide, 0, "{narrow}");
        assert!(text.contains("\nbindMounts               0.39      sees files of the host\n"), "{text}");
        assert!(
            text.contains("\nmountDaemonSocket        -         cannot use the host's Nix daemon\n"),
            "{text}"
        );
        assert!(text.contains("\nweb: 2.2 OK\nWhat lessens it:\n  bindMounts: make"), "{text}");
        let detail = "\n    can write /srv/web, each owner keeping its number (bindMounts)\n";
        assert!(text.contains(detail), "{text}");
    }
}
