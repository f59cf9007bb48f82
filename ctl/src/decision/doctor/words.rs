//! Words of the verdicts.

use std::borrow::Cow;
use std::fmt::Display;

/// How many are named.
const NAMED: usize = 3;

/// Names containers: `container 'a'`, `containers 'a', 'b' and 7 more`.
pub(super) fn containers<T: Display>(names: &[T]) -> String {
    let noun = if names.len() == 1 { "container" } else { "containers" };
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("{noun} {}", listed(&quoted))
}

/// Lists words: `a`, `a and b`, `a, b, c and 4 more`.
pub(super) fn listed<T: Display>(words: &[T]) -> String {
    let mut shown: Vec<String> = words.iter().take(NAMED).map(ToString::to_string).collect();
    if words.len() > NAMED {
        shown.push(format!("{} more", words.len() - NAMED));
    }
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => shown.concat(),
    }
}

/// Returns a number with a noun, which gets an `s` unless there is one of it.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Returns the verb for this many: `is` or `are`.
pub(super) fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Returns a path or another word for a shell.
pub(super) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("/etc/a-b"), "/etc/a-b");
        assert_eq!(quoted("/srv/a b"), "'/srv/a b'");
        assert_eq!(quoted("/srv/x?dir=y&z#web"), "'/srv/x?dir=y&z#web'");
    }

    #[test]
    fn lists() {
        assert_eq!(containers(&["a"]), "container 'a'");
        assert_eq!(containers(&["a", "b"]), "containers 'a' and 'b'");
        assert_eq!(containers(&["a", "b", "c", "d", "e"]), "containers 'a', 'b', 'c' and 2 more");
        assert_eq!((counted(1, "pin"), counted(0, "pin")), ("1 pin".into(), "0 pins".into()));
    }
}
