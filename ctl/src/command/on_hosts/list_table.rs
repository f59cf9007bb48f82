//! The containers of several hosts in one table, made of what `list --json` prints there.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use crate::base::output::{Tone, printable};
use crate::base::table::wrapped;
use crate::command::listed::{Row, table};

/// A container, as far as the table shows it. Newer programs may print more.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    name: String,
    state: Option<String>,
    since: Option<String>,
    addresses: Vec<String>,
    version: Option<String>,
    error: Option<String>,
    note: Option<String>,
    notes: Vec<String>,
}

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
    let mut lines = Vec::new();
    let line = |text: &str| wrapped(&printable(text), width) + "\n";
    for (host, listed) in &answers {
        if listed.is_empty() {
            lines.push(line(&format!("{host}: no containers")));
        }
        for one in listed {
            lines.extend(one.notes.iter().map(|note| line(&format!("{host}: {}: {note}", one.name))));
        }
    }
    let answers: Vec<(&str, Vec<Listed>)> = answers
        .into_iter()
        .map(|(host, listed)| (host, listed.into_iter().map(Listed::printable).collect()))
        .collect();
    let rows: Vec<Row> =
        answers.iter().flat_map(|(host, listed)| listed.iter().map(|one| one.row(host))).collect();
    let mut out = table(&rows, true, legend, (width, color), now);
    if legend {
        if !out.is_empty() && !lines.is_empty() {
            out.push('\n');
        }
        out.push_str(&lines.concat());
    }
    out
}

impl Listed {
    /// Replaces control characters: other hosts do not decide what the terminal does.
    fn printable(mut self) -> Self {
        let texts = [&mut self.state, &mut self.version, &mut self.note].into_iter().flatten();
        for text in texts.chain([&mut self.name]).chain(&mut self.addresses) {
            *text = printable(text).into_owned();
        }
        self
    }

    fn row<'a>(&'a self, host: &'a str) -> Row<'a> {
        let runs = !matches!(self.state.as_deref(), None | Some("inactive" | "failed"));
        Row {
            host,
            name: &self.name,
            state: self.state.as_deref(),
            address: self.addresses.first().map_or("", String::as_str),
            version: self.version.as_deref().unwrap_or_default(),
            since: self.since.as_deref().filter(|_| runs),
            note: (
                self.note.as_deref().unwrap_or_default(),
                if self.error.is_some() { Tone::Bad } else { Tone::Plain },
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::time;

    #[test]
    fn containers_of_all_hosts_are_in_one_table() {
        let now = time::of("2026-01-01T02:00:00Z").unwrap();
        let alpha = json!([
            { "name": "db", "state": "active", "since": "2026-01-01T00:00:00Z", "addresses": ["10.0.0.2"],
              "version": "26.05", "notes": [], "new": 1 },
            { "name": "web", "state": "failed", "since": null, "addresses": [], "version": null,
              "error": "exit status 1", "note": "see journal", "notes": ["exit status 1"] },
        ]);
        let (none, gamma) = (json!([]), json!([{ "name": "web", "state": null }]));
        let answers = || {
            let all = [("alpha", &alpha), ("b", &none), ("me@gamma", &gamma)];
            all.map(|(host, answer)| (host, read(answer).unwrap())).into()
        };
        let expected = "HOST      NAME  STATE   ADDRESS   VERSION  UPTIME   NOTE\n\
            alpha     db    active  10.0.0.2  26.05    2h 0min\n\
            alpha     web   failed                              see journal\n\
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
    fn nothing_is_wider_than_the_terminal() {
        let long = "a-container-with-a-very-long-name-indeed-0123456789";
        let all = json!([
            { "name": long, "state": "inactive", "since": "2026-01-01T00:00:00Z", "note": "update failed, …",
              "notes": ["its last update failed; 'nixos-nspawn update' tries again, and that is a long sentence"] },
            { "name": "web", "state": "active", "since": "2026-01-01T00:00:00Z", "addresses": ["192.168.100.101"],
              "version": "26.05" },
        ]);
        let now = time::of("2026-01-01T02:00:00Z").unwrap();
        for width in [40, 80, 120] {
            let host = "root@a-host-with-a-long-name.example.org";
            let shown = text(vec![(host, read(&all).unwrap())], true, (Some(width), false), now);
            let (table, _) = shown.split_once("\n\n").unwrap();
            assert!(table.lines().all(|line| line.chars().count() <= width), "{width}:\n{shown}");
            assert!(
                table.contains("NOTE") && table.contains("inactive") && table.contains("a-con"),
                "{shown}"
            );
            // It does not run.
            assert_eq!(table.matches("2h 0min").count(), usize::from(width > 80), "{shown}");
        }
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
