//! `verify [PATH…]`: checks files for what systemd would ignore or refuse. Needs neither privileges nor systemd, and reads
//! nothing but the files.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::invalid::brief;
use nixos_nspawn_units::verify::{Finding, Place};
use serde::Serialize;

use crate::base::exit::Failed;
use crate::base::screen::Screen;
use crate::cli::{Global, Verify};
use crate::fact::verified::{Verified, host_version, of_host, of_paths};

/// The answer for scripts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct VerifyAnswer<'a> {
    /// The version that was checked for.
    systemd: u32,
    /// How many files were checked.
    files: usize,
    findings: Vec<FindingAnswer<'a>>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct FindingAnswer<'a> {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    section: Option<&'a str>,
    key: Option<&'a str>,
    field: Option<&'a str>,
    reason: &'a str,
    meant: Option<&'a str>,
    since_version: Option<u32>,
    effect: &'static str,
}

/// Runs the command.
pub(crate) fn run(global: &Global, screen: &Screen, arguments: &Verify) -> Result<()> {
    if !global.root.is_dir() {
        return Err(Failed::Usage(format!("{}: --root is not a directory", global.root.display())).into());
    }
    let root = global.root.canonicalize()?;
    let systemd = arguments.systemd.unwrap_or_else(|| host_version(&root));
    let (all, mut unusable) = match arguments.paths.as_slice() {
        [] => (of_host(&root, systemd), Vec::new()),
        paths => of_paths(paths, systemd),
    };
    if global.json {
        screen.print_json(&answer(&all, systemd))?;
    } else if !all.is_empty() || unusable.is_empty() {
        screen.print(&text(&all))?;
    }
    if let Some(last) = unusable.pop() {
        unusable.iter().for_each(|one| screen.tell(&one.to_string()));
        return Err(Failed::Usage(last.to_string()).into());
    }
    match all.iter().all(|file| file.findings.is_empty()) {
        true => Ok(()),
        false => Err(Failed::Silent.into()),
    }
}

fn answer(all: &[Verified], systemd: u32) -> VerifyAnswer<'_> {
    let of_file = |file: &Verified| file.path.to_string_lossy().into_owned();
    let findings = all.iter().flat_map(|file| file.findings.iter().map(move |found| (of_file(file), found)));
    VerifyAnswer {
        systemd,
        files: all.len(),
        findings: findings
            .map(|(file, found)| {
                let (section, key, field) = match &found.place {
                    Some(Place::Section(section)) => (Some(section.as_str()), None, None),
                    Some(Place::Setting(section, key)) => (Some(section.as_str()), Some(key.as_str()), None),
                    Some(Place::Field(field)) => (None, None, Some(field.as_str())),
                    None => (None, None, None),
                };
                FindingAnswer {
                    file,
                    line: found.line,
                    column: found.column,
                    section,
                    key,
                    field,
                    reason: &found.reason,
                    meant: found.meant.as_deref(),
                    since_version: found.since,
                    effect: found.effect.as_str(),
                }
            })
            .collect(),
    }
}

/// Returns a line for each finding, and a last one with their number.
fn text(all: &[Verified]) -> String {
    let mut text = String::new();
    for file in all {
        for finding in &file.findings {
            text.push_str(&line(&file.path, finding));
            text.push('\n');
        }
    }
    let findings: usize = all.iter().map(|file| file.findings.len()).sum();
    let bad = all.iter().filter(|file| !file.findings.is_empty()).count();
    text.push_str(&match findings {
        0 => format!("{}: nothing found\n", files(all.len())),
        1 => format!("{}: 1 finding\n", files(all.len())),
        _ => format!("{}: {findings} findings in {bad}\n", files(all.len())),
    });
    text
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Returns `path:line: finding`, in one line.
fn line(path: &Path, finding: &Finding) -> String {
    let place = match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!(":{line}:{column}"),
        (Some(line), None) => format!(":{line}"),
        (None, _) => String::new(),
    };
    brief(&format!("{}{place}: {finding}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_one_printable_line_each() {
        let finding = Finding {
            line: Some(3),
            place: Some(Place::Setting("Exec".to_owned(), "B\u{1b}[1m".to_owned())),
            reason: "is not known, ignored".to_owned(),
            meant: Some("Boot".to_owned()),
            ..Finding::default()
        };
        let all = [
            Verified { path: "a\nb.nspawn".into(), findings: vec![finding.clone(), finding] },
            Verified { path: "c".into(), findings: Vec::new() },
        ];
        let line = "a\\nb.nspawn:3: [Exec] B\\u{1b}[1m=: is not known, ignored; did you mean 'Boot'?\n";
        assert_eq!(text(&all), format!("{line}{line}2 files: 2 findings in 1\n"));
        assert_eq!(text(&all[1..]), "1 file: nothing found\n");
        let answer = serde_json::to_value(answer(&all, 257)).unwrap();
        assert_eq!(answer["files"], 2);
        assert_eq!(answer["findings"][0]["key"], "B\u{1b}[1m");
        assert_eq!(answer["findings"][1]["meant"], "Boot");
    }
}
