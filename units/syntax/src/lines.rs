//! Splits a file into lines as `config_parse()` in `src/shared/conf-parser.c` and `read_line()` do: ends of lines,
//! comments, continuations and the byte order mark.

use std::borrow::Cow;

use thiserror::Error;

use super::escape::joins_next_line;
use super::words::{BLANKS, is_noncharacter};

/// A line must be shorter than this, and continued lines together not longer (`LONG_LINE_MAX`).
pub(super) const LONG_LINE_MAX: usize = 1024 * 1024;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line as systemd reads it, with its continuations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// What follows the `#` or `;`, in any encoding.
    Comment(&'a [u8]),
    /// What stands between the brackets; whether it is a name is not checked.
    Header(Cow<'a, str>),
    /// Anything else but blanks, stripped.
    Other(Cow<'a, str>),
}

/// Why a line is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ignored {
    /// No section header stands above it.
    #[error("stands before the first section, ignored")]
    OutsideSection,
    /// It is neither a comment nor a header nor an assignment.
    #[error("has no '=', ignored")]
    NoEquals,
    /// It begins with the `=`.
    #[error("has no key before the '=', ignored")]
    NoKey,
}

/// Why reading stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// One line, or several continued ones together, reach the limit.
    #[error("is longer than 1 MiB")]
    TooLong,
    /// Broken UTF-8, or a Unicode noncharacter, which systemd treats the same.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A `[` without a `]` at the end of the line.
    #[error("section header does not end in ']'")]
    UnclosedHeader,
    /// A header without a name, or with quotes, backslashes, glob or control characters.
    #[error("section header has no name, or a character that is not allowed in one")]
    SectionName,
}

/// Returns the lines of a file with their numbers, from 1; of continued lines the number is the last one's, as in
/// systemd's messages. Empty lines are left out. After a fault there are no more.
///
/// ```
/// use systemd_unit_syntax::{Line, lines};
///
/// let read: Vec<_> = lines(b"[Unit]\n\nAfter=a \\\n# between\n  b\n").collect();
/// assert_eq!(read, [
///     (1, Ok(Line::Header("Unit".into()))),
///     (4, Ok(Line::Comment(b" between"))),
///     (5, Ok(Line::Other("After=a    b".into()))),
/// ]);
/// ```
pub fn lines(bytes: &[u8]) -> Lines<'_> {
    Lines(Some(Physical::new(bytes)))
}

/// Iterates over the lines of a file, see [`lines`].
#[derive(Debug, Clone)]
pub struct Lines<'a>(Option<Physical<'a>>);

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, Result<Line<'a>, Fault>);

    fn next(&mut self) -> Option<Self::Item> {
        let lines = self.0.as_mut()?;
        let line = loop {
            break match lines.next_line() {
                Ok(Some(PhysicalLine { part: Part::Comment(text), .. })) => Ok(Line::Comment(text)),
                Ok(Some(PhysicalLine { part: Part::Continued, .. })) => continue,
                Ok(Some(PhysicalLine { part: Part::Last(whole), .. })) => match logical_line(whole) {
                    Ok(None) => continue,
                    Ok(Some(line)) => Ok(line),
                    Err(fault) => Err(fault),
                },
                Ok(None) => match logical_line(Cow::Owned(lines.continued.take()?)) {
                    Ok(None) => return None,
                    Ok(Some(line)) => Ok(line),
                    Err(fault) => Err(fault),
                },
                Err(fault) => Err(fault),
            };
        };
        let number = lines.number;
        if line.is_err() {
            self.0 = None;
        }
        Some((number, line))
    }
}

impl Line<'_> {
    /// Returns key and value of an assignment, stripped.
    pub fn assignment(text: &str) -> Result<(&str, &str), Ignored> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((strip_text(key), strip_text(value))),
            Some(_) => Err(Ignored::NoKey),
            None => Err(Ignored::NoEquals),
        }
    }

    /// Returns key and value of an assignment in this section, or the reason for a warning. Of sections whose name begins
    /// with `X-` systemd looks at headers only.
    pub(super) fn setting<'t>(
        section: Option<&str>,
        text: &'t str,
    ) -> Result<(&'t str, &'t str), Option<Ignored>> {
        let section = section.ok_or(Some(Ignored::OutsideSection))?;
        Self::assignment(text).map_err(|reason| Some(reason).filter(|_| !section.starts_with("X-")))
    }
}

/// Returns whether systemd takes this for the name of a section (`string_is_safe()`).
pub fn is_section_name(name: &str) -> bool {
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty()
        && (name.bytes().all(simple) || !name.contains(['*', '?', '[']) && was_section_name(name))
}

/// Returns whether versions up to 261 take this for the name of a section; they warn if they do not know it.
pub fn was_section_name(name: &str) -> bool {
    let bad = |c: char| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\');
    !name.contains(|c| bad(c) || is_noncharacter(c))
}

/// Reads the lines as they stand in the file.
#[derive(Debug, Clone)]
pub(super) struct Physical<'a> {
    rest: &'a [u8],
    /// How many lines were read.
    pub(super) number: usize,
    /// What was read of a line that is not at its end.
    pub(super) continued: Option<Vec<u8>>,
    mark_seen: bool,
}

/// A line as it stands in the file.
#[derive(Debug)]
pub(super) struct PhysicalLine<'a> {
    /// Its length together with its end.
    pub(super) length: usize,
    /// Whether it begins with the byte order mark that systemd skips.
    pub(super) mark: bool,
    pub(super) part: Part<'a>,
}

/// What a line contributes.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A comment, which may stand between continued lines.
    Comment(&'a [u8]),
    /// A line that the next one continues.
    Continued,
    /// The end of a line, which is this as a whole, not stripped.
    Last(Cow<'a, [u8]>),
}

impl<'a> Physical<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, number: 0, continued: None, mark_seen: false }
    }

    /// Reads a line. At the end of the file, `continued` is what a last line without an end has.
    pub(super) fn next_line(&mut self) -> Result<Option<PhysicalLine<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let before = self.rest.len();
        let mut text = split_line(&mut self.rest);
        let length = before - self.rest.len();
        self.number += 1;
        if text.len() >= LONG_LINE_MAX {
            return Err(Fault::TooLong);
        }
        // Before anything else: a comment may stand between continued lines, and in any encoding.
        if let [b'#' | b';', comment @ ..] = strip_start(text) {
            return Ok(Some(PhysicalLine { length, mark: false, part: Part::Comment(comment) }));
        }
        let mark = !self.mark_seen && text.starts_with(BYTE_ORDER_MARK);
        if mark {
            self.mark_seen = true;
            text = text.get(BYTE_ORDER_MARK.len()..).unwrap_or_default();
        }
        let mut whole = match self.continued.take() {
            Some(before) if before.len() + text.len() > LONG_LINE_MAX => return Err(Fault::TooLong),
            Some(mut before) => {
                before.extend_from_slice(text);
                Cow::Owned(before)
            }
            None => Cow::Borrowed(text),
        };
        let part = if joins_next_line(&whole) {
            let whole = whole.to_mut();
            whole.pop();
            whole.push(b' ');
            self.continued = Some(std::mem::take(whole));
            Part::Continued
        } else {
            Part::Last(whole)
        };
        Ok(Some(PhysicalLine { length, mark, part }))
    }
}

/// Reads a line that is not a comment, with its continuations; returns `None` for an empty one.
pub(super) fn logical_line(text: Cow<'_, [u8]>) -> Result<Option<Line<'_>>, Fault> {
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(std::str::from_utf8(strip(text)).map_err(|_| Fault::NotUtf8)?),
        Cow::Owned(text) => {
            let text = std::str::from_utf8(strip(&text)).map_err(|_| Fault::NotUtf8)?;
            Cow::Owned(text.to_owned())
        }
    };
    if text.contains(is_noncharacter) {
        return Err(Fault::NotUtf8);
    }
    if text.is_empty() {
        return Ok(None);
    }
    if !text.starts_with('[') {
        return Ok(Some(Line::Other(text)));
    }
    let name = |text: &str| text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).map(str::len);
    let length = name(&text).ok_or(Fault::UnclosedHeader)?;
    Ok(Some(Line::Header(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(1..1 + length).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(1..1 + length).unwrap_or_default().to_owned()),
    })))
}

/// Takes the next line off, without its end (`read_line()`): LF, CR or NUL, or several of them as long as none comes
/// twice and nothing follows a NUL.
fn split_line<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\0');
    let end = bytes.iter().position(is_end).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let length = match rest {
        [b'\n', b'\r', b'\0', ..] | [b'\r', b'\n', b'\0', ..] => 3,
        [b'\n', b'\r' | b'\0', ..] | [b'\r', b'\n' | b'\0', ..] => 2,
        [] => 0,
        _ => 1,
    };
    *bytes = rest.get(length..).unwrap_or_default();
    line
}

fn strip_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !BLANKS.contains(byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn strip(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !BLANKS.contains(byte)).map_or(0, |last| last + 1);
    strip_start(text.get(..end).unwrap_or_default())
}

fn strip_text(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}
