//! What a type refuses, and how a refused text stands in a message.

/// A value that its type does not allow; the text is quoted and the reason is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' {reason}", shown(value))]
pub struct Invalid {
    /// The refused text.
    pub value: String,
    /// What is wrong with it, as the end of a sentence that begins with the value.
    pub reason: String,
}

impl Invalid {
    /// `value` is refused because it `reason`, for instance "is not an absolute path".
    pub fn new(value: &str, reason: impl Into<String>) -> Self {
        Self { value: value.to_owned(), reason: reason.into() }
    }
}

/// A refused value as it may stand in a message: one line, no terminal sequences, no essay.
pub fn shown(value: &str) -> String {
    const LIMIT: usize = 120;
    let mut text: String = value.chars().take(LIMIT).flat_map(|c| c.escape_debug()).collect();
    if value.chars().nth(LIMIT).is_some() {
        text.push('…');
    }
    // escape_debug() also escapes quotes, which need none between our single ticks.
    text.replace("\\'", "'").replace("\\\"", "\"")
}
