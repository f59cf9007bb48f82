//! The results of `doctor` as text.

use serde::Serialize;

use crate::base::output::{Tone, painted, printable};
use crate::base::table::{wrapped, wrapped_at};
use crate::decision::doctor::verdict::Level;

/// A check, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct DoctorAnswer<'a> {
    /// The name of the check.
    pub(super) check: &'a str,
    pub(super) level: Level,
    /// What is the case, and the consequence.
    pub(super) text: &'a str,
    /// The next step.
    pub(super) next: Option<&'a str>,
    /// What `--fix` did.
    pub(super) fixed: Vec<String>,
    /// What `--fix` would do, with `--dry-run`.
    pub(super) would_fix: Vec<String>,
}

/// The width of the column of levels.
const LEVELS: usize = 9;

/// The least width of texts.
const LEAST: usize = 40;

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Note => Tone::Plain,
            Self::Warning => Tone::Doubtful,
            Self::Failure => Tone::Bad,
        }
    }
}

/// Returns a line for each check, with its next step below, and a last line that counts them.
pub(super) fn text(answers: &[DoctorAnswer], width: Option<usize>, color: bool) -> String {
    let checks = answers.iter().map(|answer| answer.check.chars().count()).max().unwrap_or(0);
    // On a narrow terminal, texts stand below the names of the checks.
    let narrow = width.is_some_and(|width| width < LEVELS + checks + 2 + LEAST);
    let indent = if narrow { LEVELS } else { LEVELS + checks + 2 };
    let below = |text: &str| {
        format!("{}{}\n", " ".repeat(indent), wrapped_at(&printable(text), width, indent, indent + 2))
    };
    let mut out = String::new();
    for DoctorAnswer { check, level, text, next, fixed, would_fix } in answers {
        let gap = " ".repeat(LEVELS.saturating_sub(level.word().len()));
        out.push_str(&format!("{}{gap}", painted(level.word(), level.tone(), color)));
        match narrow {
            true => out.push_str(&format!("{check}\n{}", below(text))),
            false => {
                let text = wrapped_at(&printable(text), width, indent, indent);
                out.push_str(&format!("{check:checks$}  {text}\n"));
            }
        }
        out.extend(fixed.iter().map(|line| below(&format!("fixed: {line}"))));
        out.extend(would_fix.iter().map(|line| below(&format!("would fix: {line}"))));
        out.extend(next.iter().map(|next| below(&format!("next: {next}"))));
    }
    out + &wrapped(&summary(answers), width) + "\n"
}

/// Counts the answers of each level.
fn summary(answers: &[DoctorAnswer]) -> String {
    let count = |level: Level| answers.iter().filter(|answer| answer.level == level).count();
    let counted = [
        (Level::Failure, "failure", "failures"),
        (Level::Warning, "warning", "warnings"),
        (Level::Note, "note", "notes"),
        (Level::Ok, "OK", "OK"),
    ];
    let words = counted.iter().filter_map(|(level, one, many)| match count(*level) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Vec<DoctorAnswer<'static>> {
        let answer = |check, level, text, next| {
            let (fixed, would_fix) = (Vec::new(), Vec::new());
            DoctorAnswer { check, level, text, next, fixed, would_fix }
        };
        let mut answers = vec![
            answer(
                "generator",
                Level::Ok,
                "/etc/systemd/system-generators/nixos-nspawn-generator is installed",
                None,
            ),
            answer(
                "nsswitch",
                Level::Warning,
                "/etc/nsswitch.conf: 'mymachines' is not in the line 'hosts:', so the host does not find containers by name",
                Some("put 'mymachines' before 'resolve' and 'dns' in that line"),
            ),
            answer("id-mapping", Level::Failure, "/srv: is bad\u{1b}[1m", None),
            answer("space", Level::Note, "a note", None),
            answer("space", Level::Ok, "/run: 1.0 GiB of 2.0 GiB are free", None),
        ];
        answers[0].fixed.push("installed it".to_owned());
        answers[3].would_fix.push("remove it".to_owned());
        answers
    }

    #[test]
    fn a_line_for_each_check_in_80_columns() {
        let expected = "\
OK       generator   /etc/systemd/system-generators/nixos-nspawn-generator is
                     installed
                     fixed: installed it
warning  nsswitch    /etc/nsswitch.conf: 'mymachines' is not in the line
                     'hosts:', so the host does not find containers by name
                     next: put 'mymachines' before 'resolve' and 'dns' in that
                       line
failure  id-mapping  /srv: is bad\\u{1b}[1m
note     space       a note
                     would fix: remove it
OK       space       /run: 1.0 GiB of 2.0 GiB are free
1 failure, 1 warning, 1 note, 2 OK
";
        assert_eq!(text(&answers(), Some(80), false), expected);
    }

    #[test]
    fn narrow_terminals_and_pipes() {
        let narrow = text(&answers(), Some(40), false);
        assert!(narrow.starts_with("OK       generator\n         /etc/systemd/"), "{narrow}");
        let longest = |text: &str| text.lines().map(|line| line.chars().count()).max();
        assert!(longest(&narrow) < Some(70), "only paths are longer:\n{narrow}");
        let pipe = text(&answers(), None, false);
        assert_eq!(pipe.lines().count(), 5 + 3 + 1, "{pipe}");
        let coloured = text(&answers(), None, true);
        assert!(coloured.contains("\u{1b}[33mwarning\u{1b}[0m  nsswitch    /etc"), "{coloured:?}");
    }
}
