//! Tables. Colour is added after padding, so that columns stay aligned. One that has to fit the terminal leaves out columns
//! and shortens texts where there is no room.

use crate::base::output::{Tone, painted};

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
    lines.iter().map(|line| row(line, &widths, color)).collect()
}

/// Formats a row; columns without a width are left out.
fn row(cells: &[Cell], widths: &[usize], color: bool) -> String {
    let mut text = String::new();
    let mut gap = 0;
    for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let shown = shortened(&cell.text, *width);
        if shown.is_empty() {
            gap += width + GAP;
            continue;
        }
        text.push_str(&" ".repeat(gap));
        text.push_str(&painted(&shown, cell.tone, color));
        gap = width - shown.chars().count() + GAP;
    }
    text + "\n"
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    head: &'static str,
    /// The least width that its texts are shortened to.
    least: Option<usize>,
    /// Its turn to be left out, the lowest first.
    leaves: Option<u8>,
}

impl Column {
    /// Returns a column that stays as it is.
    pub(crate) const fn fixed(head: &'static str) -> Self {
        Self { head, least: None, leaves: None }
    }

    /// Returns a column whose texts are shortened.
    pub(crate) const fn shrinking(head: &'static str, least: usize) -> Self {
        Self { head, least: Some(least), leaves: None }
    }

    /// Returns a column that is left out.
    pub(crate) const fn leaving(head: &'static str, turn: u8) -> Self {
        Self { head, least: None, leaves: Some(turn) }
    }
}

/// A table.
pub(crate) struct Table<'a> {
    /// The columns.
    pub(crate) columns: &'a [Column],
    /// The rows, with a cell for each column.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// The gap between columns.
const GAP: usize = 2;

impl Table<'_> {
    /// Formats the table for a terminal of this width. A column without any text is left out.
    pub(crate) fn text(&self, legend: bool, width: Option<usize>, color: bool) -> String {
        let mut widths: Vec<usize> =
            (0..self.columns.len()).map(|column| self.width(column, legend)).collect();
        if let Some(width) = width {
            self.fit(&mut widths, width);
        }
        let heads: Vec<Cell> =
            self.columns.iter().map(|column| Cell::new(column.head, Tone::Strong)).collect();
        let legend = legend.then_some(&heads);
        legend.into_iter().chain(&self.rows).map(|cells| row(cells, &widths, color)).collect()
    }

    /// Returns the width of a column's texts; 0 if it has none.
    fn width(&self, column: usize, legend: bool) -> usize {
        let widest = self.rows.iter().map(|row| row[column].text.chars().count()).max().unwrap_or(0);
        let head = if legend { self.columns[column].head.chars().count() } else { 0 };
        if widest == 0 { 0 } else { widest.max(head) }
    }

    /// Leaves out columns and shrinks others until they fit.
    fn fit(&self, widths: &mut [usize], width: usize) {
        let total = |widths: &[usize]| {
            widths
                .iter()
                .filter(|width| **width > 0)
                .map(|width| width + GAP)
                .sum::<usize>()
                .saturating_sub(GAP)
        };
        let mut leaving: Vec<(u8, usize)> =
            self.columns.iter().enumerate().filter_map(|(at, column)| Some((column.leaves?, at))).collect();
        leaving.sort_unstable();
        let mut leaving = leaving.into_iter();
        loop {
            let excess = total(widths).saturating_sub(width);
            if excess == 0 {
                return;
            }
            // The widest first, as far as the columns stay readable.
            let spare = |at: usize, widths: &[usize]| {
                self.columns[at].least.map_or(0, |least| widths[at].saturating_sub(least.max(width / 4)))
            };
            let widest =
                (0..widths.len()).max_by_key(|at| spare(*at, widths)).filter(|at| spare(*at, widths) > 0);
            if let Some(at) = widest {
                widths[at] -= excess.min(spare(at, widths));
            } else if let Some((_, at)) = leaving.next() {
                widths[at] = 0;
            } else {
                break;
            }
        }
        // A terminal of a few columns.
        for at in (0..widths.len()).rev() {
            let least = self.columns[at].least.map_or(widths[at], |least| least.min(widths[at]));
            let excess = total(widths).saturating_sub(width);
            widths[at] = widths[at].saturating_sub(excess).max(least);
        }
    }
}

/// Returns the text, or its beginning with an ellipsis.
fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Breaks a message at blanks, as far as it can be broken, with further lines indented.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> String {
    wrapped_at(text, width.filter(|width| *width > 8), 0, 2)
}

/// Does the same for a message that begins at the column `start`, with further lines indented by `indent`.
pub(crate) fn wrapped_at(text: &str, width: Option<usize>, start: usize, indent: usize) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut out = String::new();
    let mut column = start;
    for (at, word) in text.split(' ').enumerate() {
        let length = visible(word);
        if at > 0 && column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if at > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// Returns how many characters of a word are seen: colours take no room.
fn visible(word: &str) -> usize {
    let mut parts = word.split('\u{1b}');
    let first = parts.next().map_or(0, |part| part.chars().count());
    first + parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| rest.chars().count())).sum::<usize>()
}

/// Returns lines behind a label, which ends at the column `indent`.
pub(crate) fn labelled(label: &str, indent: usize, lines: &[String], width: Option<usize>) -> String {
    // On a terminal that leaves little room behind the labels, the terminal breaks the lines.
    let width = width.filter(|width| *width >= indent + 20);
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let label = if number == 0 && !label.is_empty() { format!("{label}:") } else { String::new() };
        let text = wrapped_at(line, width, indent + 1, indent + 3);
        out.push_str(&format!("{label:>indent$} {text}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::shrinking("NAME", 4),
        Column::fixed("STATE"),
        Column::leaving("ADDRESS", 0),
        Column::shrinking("NOTE", 4),
    ];

    fn shown(rows: &[[&str; 4]], legend: bool, width: Option<usize>) -> String {
        let rows = rows.iter().map(|row| row.iter().map(|text| Cell::plain(*text)).collect()).collect();
        Table { columns: &COLUMNS, rows }.text(legend, width, false)
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

    #[test]
    fn columns_without_text_are_left_out() {
        let rows = [["web", "active", "", ""], ["database", "failed", "", ""]];
        assert_eq!(shown(&rows, true, None), "NAME      STATE\nweb       active\ndatabase  failed\n");
        assert_eq!(shown(&rows, false, None), "web       active\ndatabase  failed\n");
        let rows = [["web", "active", "10.0.0.2", ""], ["db", "-", "", "held"]];
        let expected = "NAME  STATE   ADDRESS   NOTE\nweb   active  10.0.0.2\ndb    -                 held\n";
        assert_eq!(shown(&rows, true, None), expected);
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let long = "a-container-with-a-very-long-name-indeed-0123456789";
        let rows = [["web", "active", "192.168.100.101", ""], [long, "inactive", "", "update failed, …"]];
        for width in [30, 40, 60, 80, 120] {
            let text = shown(&rows, true, Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            assert!(text.contains("a-con") && text.contains("inactive"), "{text}");
        }
        assert!(shown(&rows, true, Some(80)).contains("192.168.100.101"));
        assert!(!shown(&rows, true, Some(40)).contains("192.168"));
        assert!(shown(&rows, true, Some(120)).contains(long));
    }

    #[test]
    fn messages_are_broken_at_blanks() {
        assert_eq!(wrapped("one two three four", Some(10)), "one two\n  three\n  four");
        assert_eq!(wrapped("one two", None), "one two");
        assert_eq!(wrapped_at("one two three", Some(12), 4, 4), "one two\n    three");
        assert_eq!(wrapped("/a/very/long/path is", Some(10)), "/a/very/long/path\n  is");
        assert_eq!(
            wrapped("\u{1b}[31mone two\u{1b}[0m three", Some(9)),
            "\u{1b}[31mone two\u{1b}[0m\n  three"
        );
        let lines = ["one two three four five six".to_owned(), "seven".to_owned()];
        let expected = " Notes: one two three four\n          five six\n        seven\n";
        assert_eq!(labelled("Notes", 7, &lines, Some(28)), expected);
        assert_eq!(labelled("Notes", 7, &lines[..1], None), " Notes: one two three four five six\n");
    }
}
