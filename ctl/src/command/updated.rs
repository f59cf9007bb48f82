//! Formats the results of updates and rollbacks.

use crate::change::updated::Updated;
use crate::host::last_activation::AppliedAction;

/// Returns the error message of a failure.
pub(crate) fn error_line(one: &Updated) -> Option<String> {
    one.error.as_ref().map(|error| format!("container '{}': failed: {error}", one.name))
}

/// Returns the line for a single container.
pub(crate) fn line(one: &Updated) -> String {
    format!("container '{}': {}", one.name, text(one))
}

fn text(one: &Updated) -> String {
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    match (&one.error, one.action) {
        (Some(error), _) => format!("failed: {error}"),
        (None, None) => "is up to date".to_owned(),
        (None, Some(action)) => {
            let how = match action {
                AppliedAction::Reload => "reloaded",
                AppliedAction::Restart => "restarted",
                AppliedAction::Start | AppliedAction::None => "not touched",
            };
            let (before, after) = (number(one.old_generation), number(one.generation));
            let reason = one.reason.as_deref().unwrap_or_default();
            format!("generation {before} -> {after}, {how}: {reason}")
        }
    }
}

/// Returns a table of several results.
pub(crate) fn table(results: &[Updated]) -> String {
    let width = results.iter().map(|one| one.name.as_str().len()).max().unwrap_or(0).max(4);
    let line = |one: &Updated| format!("{:width$}  {}\n", one.name.as_str(), text(one));
    format!("{:width$}  RESULT\n", "NAME") + &results.iter().map(line).collect::<String>()
}
