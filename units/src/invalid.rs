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

/// Returns a reason for messages and generated files: one line of bounded length, whatever it quotes. The end is kept,
/// since it states the consequence.
pub fn brief(reason: &str) -> String {
    const FIRST: usize = 700;
    const LAST: usize = 300;
    // Quotes and backslashes stay as they are: what is quoted was escaped before.
    let plain = |c: char| matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1;
    let escaped = |text: &str| -> String {
        let mut line = String::with_capacity(text.len());
        for c in text.chars() {
            if plain(c) { line.push(c) } else { line.extend(c.escape_debug()) }
        }
        line
    };
    match (reason.char_indices().nth(FIRST), reason.char_indices().rev().nth(LAST - 1)) {
        (Some((first, _)), Some((last, _))) if first < last => {
            format!("{} … {}", escaped(&reason[..first]), escaped(&reason[last..]))
        }
        _ => escaped(reason),
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

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn reasons_are_one_bounded_line() {
        assert_eq!(brief("'a\\n' is \"bad\", ü"), "'a\\n' is \"bad\", ü");
        assert_eq!(brief("a\nb\u{202e}"), "a\\nb\\u{202e}");
        let long = brief(&format!("/etc/a.json: '{}' is no name", "ä\n".repeat(500_000)));
        assert!(long.starts_with("/etc/a.json: 'ä\\n") && long.ends_with("ä\\n' is no name"), "{long}");
        assert!(long.len() < 12_000, "{}", long.len());
        assert_eq!(brief(&"a".repeat(1000)).len(), 1000);
    }
}
