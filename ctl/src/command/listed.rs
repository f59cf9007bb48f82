//! The table of `list`, of this host and of several.

use std::time::SystemTime;

use crate::base::output::Tone;
use crate::base::table::{Cell, Column, Table};
use crate::base::time;
use crate::fact::notes::shown_state;

/// A row, for a container.
pub(super) struct Row<'a> {
    /// The host; shown for several.
    pub(super) host: &'a str,
    pub(super) name: &'a str,
    /// The state of its unit, if that is known.
    pub(super) state: Option<&'a str>,
    pub(super) address: &'a str,
    pub(super) version: &'a str,
    /// Since when it runs, if it does.
    pub(super) since: Option<&'a str>,
    /// What needs attention, in a few words, and how bad it is.
    pub(super) note: (&'a str, Tone),
}

/// The columns, and how they give way on a narrow terminal.
const COLUMNS: [Column; 7] = [
    Column::shrinking("HOST", 8),
    Column::shrinking("NAME", 8),
    Column::fixed("STATE"),
    Column::leaving("ADDRESS", 2),
    Column::leaving("VERSION", 0),
    Column::leaving("UPTIME", 1),
    Column::shrinking("NOTE", 6),
];

/// Returns the table for a terminal of this width, empty without any row; `hosts` is whether it is of several.
pub(super) fn table(
    rows: &[Row],
    hosts: bool,
    legend: bool,
    (width, color): (Option<usize>, bool),
    now: SystemTime,
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let first = usize::from(!hosts);
    let cells = |row: &Row| {
        let (state, tone) = shown_state(row.state);
        let begun = row.since.and_then(time::of);
        let uptime = begun.map(|begun| time::span(now.duration_since(begun).unwrap_or_default()));
        let all = [
            Cell::plain(row.host),
            Cell::plain(row.name),
            Cell::new(state, tone),
            Cell::plain(row.address),
            Cell::plain(row.version),
            Cell::plain(uptime.unwrap_or_default()),
            Cell::new(row.note.0, row.note.1),
        ];
        all[first..].to_vec()
    };
    Table { columns: &COLUMNS[first..], rows: rows.iter().map(cells).collect() }.text(legend, width, color)
}
