//! A line of a document as it stands in the file.

use std::ops::Range;

use crate::lines::{BYTE_ORDER_MARK, Ignored};

/// A line with its end.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) text: Text,
    pub(super) role: Role,
    /// Whether it begins with the byte order mark that systemd skips.
    pub(super) mark: bool,
}

/// The bytes of a line.
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// Unchanged: a part of the source.
    Source(Range<usize>),
    New(Vec<u8>),
}

/// What a line is to systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Blank,
    Comment,
    /// The first line of a header.
    Header(String),
    /// The first line of an assignment.
    Setting {
        key: String,
        value: String,
    },
    /// The first line of one that systemd ignores, and why, if it warns.
    Ignored(Option<Ignored>),
    /// It continues the line above, apart from comments.
    Continuation,
    /// The empty line that ends a continued one.
    End,
    /// Removed. It stays until the end of the edit, so that the others keep their places.
    Gone,
}

impl Row {
    /// Returns the line with its end.
    pub(super) fn bytes<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        match &self.text {
            Text::Source(range) => source.get(range.clone()).unwrap_or_default(),
            Text::New(bytes) => bytes,
        }
    }

    /// Returns the end of the line; it is empty if the file ends there.
    pub(super) fn end<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        split_end(self.bytes(source)).1
    }

    /// Returns the text of a comment without its sign and one blank after that.
    pub(super) fn comment(&self, source: &[u8]) -> String {
        let text = split_end(self.bytes(source)).0;
        let sign = text.iter().position(|byte| matches!(byte, b'#' | b';'));
        let text = sign.and_then(|sign| text.get(sign + 1..)).unwrap_or_default();
        String::from_utf8_lossy(text.strip_prefix(b" ").unwrap_or(text)).into_owned()
    }

    /// Returns an empty line with the byte order mark of this one, since systemd would otherwise skip a later one.
    pub(super) fn only_mark(&self, source: &[u8]) -> Option<Row> {
        let bytes = || [BYTE_ORDER_MARK, self.end(source)].concat();
        self.mark.then(|| Row { text: Text::New(bytes()), role: Role::Blank, mark: true })
    }
}

impl Role {
    /// Returns whether it begins a line as systemd reads it, with its continuations.
    pub(super) fn begins(&self) -> bool {
        matches!(self, Role::Header(_) | Role::Setting { .. } | Role::Ignored(_))
    }
}

/// Returns a line without its end, and the end.
pub(super) fn split_end(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'\0')).unwrap_or(line.len());
    line.split_at(end)
}
