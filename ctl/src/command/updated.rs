//! Formats the results of updates and rollbacks.

use crate::base::output::Tone;
use crate::base::table;
use crate::base::table::Cell;
use crate::change::updated::{UpdateResult, Updated};
use crate::host::last_activation::AppliedAction;

/// Returns the error message of a failure.
pub(crate) fn error_line(one: &Updated) -> Option<String> {
    one.error.as_ref().map(|error| format!("container '{}': failed: {error}", one.name))
}

/// Returns the line for a single container.
pub(crate) fn line(one: &Updated) -> String {
    format!("container '{}': {}", one.name, text(one))
}

/// Returns the line for a single container, and where it can be reached.
pub(crate) fn lines(one: &Updated) -> String {
    let mut lines = vec![line(one)];
    lines.extend(one.reachable.lines());
    lines.join("\n") + "\n"
}

fn text(one: &Updated) -> String {
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    match (&one.error, one.action) {
        (Some(error), _) => format!("failed: {error}"),
        (None, None) if one.result == UpdateResult::Skipped => {
            format!("is skipped: {}", one.reason.as_deref().unwrap_or_default())
        }
        (None, None) => match &one.not_refreshed {
            Some(why) => {
                format!(
                    "is up to date with the last known revision, since its source could not be refreshed: {why}"
                )
            }
            None => "is up to date".to_owned(),
        },
        (None, Some(action)) => {
            let how = how(action);
            let (before, after) = (number(one.old_generation), number(one.generation));
            let reason = one.reason.as_deref().unwrap_or_default();
            let state = match &one.snapshot {
                Some(path) => format!("; its state before is kept in {}", path.display()),
                None => String::new(),
            };
            format!("generation {before} -> {after}, {how}: {reason}{state}")
        }
    }
}

/// The heads of the columns of [`row`].
pub(crate) const HEADS: [&str; 5] = ["NAME", "RESULT", "GENERATION", "TIME", "REASON"];

/// Returns a table of results: outcome, generations, duration and reason.
pub(crate) fn table<'a>(results: impl IntoIterator<Item = &'a Updated>, color: bool) -> String {
    let rows: Vec<Vec<Cell>> = results.into_iter().map(row).collect();
    table::table(&HEADS, &rows, color)
}

/// Returns the row for a container.
pub(crate) fn row(one: &Updated) -> Vec<Cell> {
    let (word, tone) = match one.result {
        UpdateResult::Created => ("created", Tone::Good),
        UpdateResult::Started => ("started", Tone::Good),
        UpdateResult::Removed => ("removed", Tone::Good),
        UpdateResult::Gone => ("gone", Tone::Doubtful),
        UpdateResult::Updated => ("updated", Tone::Good),
        UpdateResult::RolledBack => ("rolled back", Tone::Good),
        UpdateResult::UpToDate => ("up to date", Tone::Plain),
        UpdateResult::Skipped => ("skipped", Tone::Doubtful),
        UpdateResult::Failed => ("failed", Tone::Bad),
    };
    let generations = match (one.old_generation, one.generation) {
        (Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
        (_, Some(now)) => now.to_string(),
        (_, None) => "-".to_owned(),
    };
    let reason = match (&one.error, one.action) {
        (Some(error), _) => {
            let line = error.lines().next().unwrap_or_default();
            // The row has its name.
            line.strip_prefix(&format!("container '{}' ", one.name)).unwrap_or(line).to_owned()
        }
        (None, Some(action)) => [how(action), one.reason.as_deref().unwrap_or_default()].join(": "),
        (None, None) => one.reason.clone().unwrap_or_default(),
    };
    let reason = match &one.not_refreshed {
        Some(why) if reason.is_empty() => format!("not refreshed: {why}"),
        Some(_) => format!("{reason} (not refreshed)"),
        None => reason,
    };
    let time = format!("{:.1} s", one.seconds);
    // Makes columns equally wide in each run.
    let time = if reason.is_empty() { time } else { format!("{time:<7}") };
    vec![
        Cell::plain(one.name.as_str()),
        Cell::new(word, tone),
        Cell::plain(generations),
        Cell::plain(time),
        Cell::plain(reason),
    ]
}

fn how(action: AppliedAction) -> &'static str {
    match action {
        AppliedAction::Reload => "reloaded",
        AppliedAction::Restart => "restarted",
        AppliedAction::Start => "started",
        AppliedAction::None => "not touched",
    }
}
