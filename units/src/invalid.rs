//! A refused value, and how it is shown in a message.

/// A value that its type does not allow. The message quotes it and is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' {reason}", shown(value))]
pub struct Invalid {
    /// The refused text.
    pub value: String,
    /// What is wrong, as the end of a sentence that begins with the value.
    pub reason: String,
}

impl Invalid {
    /// Refuses `value` because it `reason`, for instance "is not an absolute path".
    pub fn new(value: &str, reason: impl Into<String>) -> Self {
        Self { value: value.to_owned(), reason: reason.into() }
    }
}

/// Returns a refused value for a message: one line, no terminal sequences, at most 120 characters.
pub fn shown(value: &str) -> String {
    const LIMIT: usize = 120;
    let mut text: String = value.chars().take(LIMIT).flat_map(|c| c.escape_debug()).collect();
    if value.chars().nth(LIMIT).is_some() {
        text.push('…');
    }
    // escape_debug() also escapes quotes, which need no escape between single quotes.
    text.replace("\\'", "'").replace("\\\"", "\"")
}
