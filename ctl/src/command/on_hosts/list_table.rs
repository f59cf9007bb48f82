//! The containers of several hosts in one table, made of what `list --json` prints there.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use crate::base::output::{Tone, painted, printable};
use crate::base::table::{Cell, Column, Table, wrapped};
use crate::base::time;

/// A container, as far as the table shows it. Newer programs may print more.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    name: String,
    state: Option<String>,
    since: Option<String>,
    addresses: Vec<String>,
    version: Option<String>,
    notes: Vec<String>,
}

/// The columns, and how they give way on a narrow terminal.
const COLUMNS: [Column; 6] = [
    Column::shrinking("HOST", 8),
    Column::shrinking("NAME", 8),
    Column::fixed("STATE"),
    Column::leaving("ADDRESS", 2),
    Column::leaving("VERSION", 0),
    Column::leaving("UPTIME", 1),
];

/// Reads the answer of a host, or returns `None` if it is none.
pub(super) fn read(answer: &Value) -> Option<Vec<Listed>> {
    Deserialize::deserialize(answer).ok()
}

/// Returns the table of the answers of hosts, with the notes below it.
pub(super) fn text(
    answers: Vec<(&str, Vec<Listed>)>,
    legend: bool,
    (width, color): (Option<usize>, bool),
    now: SystemTime,
) -> String {
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    // Other hosts do not decide what the terminal does.
    let cell = |text: &str| Cell::plain(printable(text));
    for (host, listed) in answers {
        if listed.is_empty() {
            lines.push(format!("{}: no containers\n", painted(host, Tone::Plain, color)));
        }
        for Listed { name, state, since, addresses, version, notes } in listed {
            let (word, tone) = match state.as_deref() {
                None | Some("") => ("-", Tone::Plain),
                Some("active") => ("active", Tone::Good),
                Some("failed") => ("failed", Tone::Bad),
                Some(other) => (other, Tone::Plain),
            };
            let word = printable(word);
            let begun = since.as_deref().and_then(time::of);
            let uptime = begun.map(|begun| time::span(now.duration_since(begun).unwrap_or_default()));
            let note = |note: &String| wrapped(&printable(&format!("{host}: {name}: {note}")), width) + "\n";
            lines.extend(notes.iter().map(note));
            rows.push(vec![
                Cell::plain(host),
                cell(&name),
                Cell::new(word, tone),
                cell(addresses.first().map_or("", String::as_str)),
                cell(&version.unwrap_or_default()),
                Cell::plain(uptime.unwrap_or_default()),
            ]);
        }
    }
    let none = rows.is_empty();
    let table = Table { columns: &COLUMNS, rows };
    let mut out = if none { String::new() } else { table.text(legend, width, color) };
    if legend {
        if !none && !lines.is_empty() {
            out.push('\n');
        }
        out.push_str(&lines.concat());
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_of_all_hosts_are_in_one_table() {
        let now = time::of("2026-01-01T02:00:00Z").unwrap();
        let alpha = json!([
            { "name": "db", "state": "active", "since": "2026-01-01T00:00:00Z", "addresses": ["10.0.0.2"],
              "version": "26.05", "notes": [], "new": 1 },
            { "name": "web", "state": "failed", "since": null, "addresses": [], "version": null,
              "notes": ["exit status 1"] },
        ]);
        let (none, gamma) = (json!([]), json!([{ "name": "web", "state": null }]));
        let answers = || {
            let all = [("alpha", &alpha), ("b", &none), ("me@gamma", &gamma)];
            all.map(|(host, answer)| (host, read(answer).unwrap())).into()
        };
        let expected = "HOST      NAME  STATE   ADDRESS   VERSION  UPTIME\n\
            alpha     db    active  10.0.0.2  26.05    2h 0min\n\
            alpha     web   failed\n\
            me@gamma  web   -\n\
            \n\
            alpha: web: exit status 1\n\
            b: no containers\n";
        let plain = text(answers(), true, (None, false), now);
        assert_eq!(plain, expected);
        let bare = text(answers(), false, (None, false), now);
        assert_eq!(bare.lines().count(), 3, "{bare}");
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_no_containers() {
        for odd in [json!("odd"), json!(null), json!([1]), json!([{ "name": 1 }]), json!({})] {
            assert!(read(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn other_hosts_do_not_write_to_the_terminal() {
        let odd = json!([{ "name": "a\u{1b}[2J", "state": "\u{1b}c", "addresses": ["\u{7}"], "version": "\u{9b}1m",
            "notes": ["\u{1b}]0;x\u{7}"] }]);
        let shown = text(vec![("a", read(&odd).unwrap())], true, (None, false), SystemTime::now());
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}
