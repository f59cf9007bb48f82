//! Tables and colours for text output. Colour is added after padding, so that columns stay aligned.

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

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Returns a cell with this text.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tone.
    pub(crate) fn tone(&self) -> Tone {
        self.tone
    }

    /// Returns a cell without colour.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Formats rows below a header, with two spaces between columns and no trailing spaces.
pub(crate) fn table(header: &[&str], rows: &[Vec<Cell>], color: bool) -> String {
    let heads: Vec<Cell> = header.iter().map(|head| Cell::new(*head, Tone::Strong)).collect();
    let lines: Vec<&Vec<Cell>> = std::iter::once(&heads).chain(rows).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.text.chars().count()).max()
    };
    let widths: Vec<usize> = (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let mut gap = 0;
        for (cell, width) in line.iter().zip(&widths) {
            if cell.text.is_empty() {
                gap += width + 2;
                continue;
            }
            text.push_str(&" ".repeat(gap));
            text.push_str(&painted(&cell.text, cell.tone, color));
            gap = width.saturating_sub(cell.text.chars().count()) + 2;
        }
        text.push('\n');
    }
    text
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

    #[test]
    fn columns_stay_in_line_with_and_without_colour() {
        let rows = [
            vec![Cell::plain("database"), Cell::new("", Tone::Good), Cell::plain("x")],
            vec![Cell::plain("b"), Cell::new("up", Tone::Good), Cell::plain("")],
        ];
        let header = ["NAME", "STATE", "NOTE"];
        let plain = "NAME      STATE  NOTE\ndatabase         x\nb         up\n";
        assert_eq!(table(&header, &rows, false), plain);
        let coloured = table(&header, &rows, true);
        assert!(coloured.contains("\nb         \u{1b}[32mup\u{1b}[0m\n"), "{coloured:?}");
    }
}
