//! What a run of `make nixos-check` saw: tests/nixos/seen has its output, a file for each suite, and docs/seen.md a table made
//! from them.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Starts the heading of a group of lines.
pub const HEADING: &str = "── ";

/// The headings of the groups in a suite's file.
pub const GROUPS: [&str; 4] =
    ["NixOS in containers", "a strict container", "a NixOS host with the module", "numbers"];

/// Prints the output of a run for one suite and keeps it.
pub struct Report {
    text: String,
    good: bool,
}

impl Report {
    /// Begins with the versions.
    pub fn new(versions: &str) -> Self {
        let mut report = Self { text: String::new(), good: true };
        report.print(versions);
        report
    }

    /// Begins a group of lines.
    pub fn group(&mut self, heading: &str) {
        self.print(&format!("{HEADING}{heading}"));
    }

    /// Prints what was asked and whether that is so.
    pub fn line(&mut self, good: bool, what: &str) {
        self.good &= good;
        self.print(&format!("{} {what}", if good { "ok   " } else { "FAIL " }));
    }

    /// Runs a program of the kit, which prints such lines.
    pub fn run(&mut self, command: &mut Command) -> std::io::Result<()> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                self.print(&line?);
            }
        }
        self.good &= child.wait()?.success();
        Ok(())
    }

    /// Returns whether all is as it should be.
    pub fn good(&self) -> bool {
        self.good
    }

    /// Returns all that was printed.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn print(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A line of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whether it begins with `ok`.
    pub good: bool,
    /// What was asked.
    pub what: String,
}

/// The output for one suite.
#[derive(Debug)]
pub struct Seen {
    /// The versions, which are the first line.
    pub versions: String,
    /// The groups by heading.
    pub groups: Vec<(String, Vec<Line>)>,
}

/// Returns the path of a suite's file.
pub fn path(suite: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("nixos/seen").join(format!("{suite}.txt"))
}

/// Reads a suite's file.
pub fn read(suite: &str) -> Seen {
    let path = path(suite);
    parse(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Parses the output for a suite; other lines are skipped.
pub fn parse(text: &str) -> Seen {
    let mut seen = Seen { versions: text.lines().next().unwrap_or_default().to_owned(), groups: Vec::new() };
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix(HEADING) {
            seen.groups.push((heading.to_owned(), Vec::new()));
        }
        let good = line.starts_with("ok ");
        if let (true, Some((_, lines))) = (good || line.starts_with("FAIL "), seen.groups.last_mut()) {
            let what = line.split_once(' ').map_or("", |(_, what)| what.trim()).to_owned();
            lines.push(Line { good, what });
        }
    }
    seen
}

/// Replaces the groups in the output for a suite that a newer one has. Those of other versions are not kept.
pub fn merged(old: &str, new: &str) -> String {
    let split = |text: &str| -> (String, Vec<(String, String)>) {
        let mut parts = text.split(HEADING);
        let versions = parts.next().unwrap_or_default().to_owned();
        (
            versions,
            parts.map(|part| (part.lines().next().unwrap_or_default().to_owned(), part.to_owned())).collect(),
        )
    };
    let ((before, old), (now, new)) = (split(old), split(new));
    let mut text = now.clone();
    for heading in GROUPS {
        let in_group = |groups: &[(String, String)]| {
            groups.iter().find(|(name, _)| name == heading).map(|(_, part)| format!("{HEADING}{part}"))
        };
        let kept = in_group(&old).filter(|_| before == now);
        text.extend(in_group(&new).or(kept));
    }
    text
}

/// Returns the table of docs/seen.md: the numbers of lines that passed, and the measurements.
pub fn table(suites: &[Seen]) -> String {
    let mut table = String::from("| |");
    for seen in suites {
        let _ = write!(table, " {} |", seen.versions);
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(suites.len()));
    table.push('\n');
    let lines = |seen: &Seen, heading: &str| {
        seen.groups
            .iter()
            .find(|(name, _)| name == heading)
            .map(|(_, lines)| lines.clone())
            .unwrap_or_default()
    };
    let [containers, strict, host, numbers] = GROUPS;
    for heading in [containers, strict, host] {
        let _ = write!(table, "| {heading} |");
        for seen in suites {
            let lines = lines(seen, heading);
            let passed = lines.iter().filter(|line| line.good).count();
            let _ = match lines.len() {
                0 => write!(table, " not run |"),
                all => write!(table, " {passed} of {all} checks passed |"),
            };
        }
        table.push('\n');
    }
    let measured: Vec<Vec<(String, String)>> = suites
        .iter()
        .map(|seen| {
            let lines = lines(seen, numbers);
            lines.iter().filter_map(|line| measurement(&line.what)).collect()
        })
        .collect();
    for (what, _) in measured.first().into_iter().flatten() {
        let _ = write!(table, "| {what} |");
        for one in &measured {
            let value = one.iter().find(|(name, _)| name == what).map_or("not run", |(_, value)| value);
            let _ = write!(table, " {value} |");
        }
        table.push('\n');
    }
    table
}

/// Splits `WHAT: VALUE (at most LIMIT)` before the value, and moves the limit to the other side.
fn measurement(line: &str) -> Option<(String, String)> {
    let (what, value) = line.rsplit_once(": ")?;
    Some(match value.split_once(" (") {
        Some((value, limit)) => (format!("{what} ({limit}"), value.to_owned()),
        None => (what.to_owned(), value.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_groups_replace_older_ones() {
        let old = "systemd 1\n── NixOS in containers\nok    a\n── numbers\nok    b: 1\n";
        let new = "systemd 1\n── numbers\nok    b: 2\n";
        let both = "systemd 1\n── NixOS in containers\nok    a\n── numbers\nok    b: 2\n";
        assert_eq!(merged(old, new), both);
        assert_eq!(merged("", new), new);
        assert_eq!(merged(old, "systemd 2\n── numbers\n"), "systemd 2\n── numbers\n");
    }

    #[test]
    fn a_table_has_a_column_for_each_suite() {
        let text = |version, more| {
            parse(&format!(
                "systemd {version}\n── NixOS in containers\nok    a\nFAIL  b\n        why\n{more}── numbers\nok    time: 2 s (at most 3)\n"
            ))
        };
        let suites = [text(1, "── a NixOS host with the module\nok    c\n"), text(2, "")];
        assert_eq!(suites[0].groups[0].1[1], Line { good: false, what: "b".into() });
        assert_eq!(
            table(&suites),
            "| | systemd 1 | systemd 2 |\n\
             |---|---|---|\n\
             | NixOS in containers | 1 of 2 checks passed | 1 of 2 checks passed |\n\
             | a strict container | not run | not run |\n\
             | a NixOS host with the module | 1 of 1 checks passed | not run |\n\
             | time (at most 3) | 2 s | 2 s |\n"
        );
    }
}
