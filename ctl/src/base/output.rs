//! Text that is safe on a terminal, and colours.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// Returns the text without control characters; it may include output of programs and containers.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && c != '\n' && c != '\t' || misleads(c), |c| c.escape_debug().collect())
}

/// Returns a text answer with misleading characters escaped; colours are kept.
pub(crate) fn answer_text(text: &str) -> Cow<'_, str> {
    escaped(text, misleads, |c| c.escape_debug().collect())
}

/// Does the same for JSON. Such characters occur only in strings, so the escapes do not change its meaning.
pub(crate) fn answer_json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && c != '\n' || misleads(c), |c| format!("\\u{:04x}", u32::from(c)))
}

/// Returns whether a character reorders the text around it, or ends a line in some programs only (UAX #9, UAX #14).
fn misleads(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, acts: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) { shown.push_str(&escape(c)) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// The meaning of a piece of text, shown as its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Ordinary text.
    Plain,
    /// A heading.
    Strong,
    /// All is well.
    Good,
    /// Worth a look.
    Doubtful,
    /// Broken.
    Bad,
}

/// Returns the text in the colour of its tone.
pub(crate) fn painted(text: &str, tone: Tone, color: bool) -> String {
    let style = match tone {
        Tone::Plain => Style::new(),
        Tone::Strong => Style::new().bold(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Doubtful => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
    };
    if color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\tb\nü"), "a\tb\nü");
        assert_eq!(printable("a\u{202e}b\u{2028}"), "a\\u{202e}b\\u{2028}");
        assert_eq!(answer_text("\u{1b}[1ma\u{2067}\u{1b}[0m ü"), "\u{1b}[1ma\\u{2067}\u{1b}[0m ü");
        let json = serde_json::to_string("a\u{202e}b\u{2029}").unwrap();
        assert_eq!(answer_json(&json), r#""a\u202eb\u2029""#);
        assert_eq!(serde_json::from_str::<String>(&answer_json(&json)).unwrap(), "a\u{202e}b\u{2029}");
        assert_eq!(printable("\u{1b}]0;x\u{7}\r\u{9b}"), "\\u{1b}]0;x\\u{7}\\r\\u{9b}");
    }
}
