//! Splitting of values into words and fields.

use super::super::finding::Problem;
use systemd_unit_syntax::words::WordError;

/// Returns the words, or what is wrong with the quotes and backslashes of a value.
pub(super) fn split<T>(words: Result<T, WordError>) -> Result<T, Problem> {
    words.map_err(|error| {
        Problem::new(match error {
            WordError::UnbalancedQuote { .. } => "a quote is not closed",
            WordError::TrailingBackslash { .. } => "ends in a backslash that escapes nothing",
            _ => "cannot be split into words",
        })
    })
}
