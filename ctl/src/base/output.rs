//! Tables and colours for text output. Colour is added after padding, so that columns stay aligned.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// Returns the text without control characters; it may include output of programs and containers.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if acts(c) { c.escape_debug().collect() } else { vec![c] };
    Cow::Owned(text.chars().flat_map(shown).collect())
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
    fn nothing_acts_on_a_terminal() {
        assert_eq!(printable("a\tb\nü"), "a\tb\nü");
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
