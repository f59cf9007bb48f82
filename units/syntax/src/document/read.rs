//! Reads the lines of a document, and what each is to systemd.

use std::borrow::Cow;

use super::row::{Role, Row, Text, split_end};
use crate::lines::{BYTE_ORDER_MARK, Fault, Line, Part, Physical, is_section_name, logical_line};

/// The lines of a file, as far as systemd reads it.
pub(super) struct Read {
    pub(super) rows: Vec<Row>,
    pub(super) open: bool,
    pub(super) stop: Option<Stop>,
}

/// A line at which systemd stops reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// The line's number, from 1; of continued lines the last one's.
    pub(super) line: usize,
    pub(super) reason: Fault,
    /// Where the line begins in the source.
    pub(super) start: usize,
}

/// Reads as far as systemd does.
pub(super) fn read(source: &[u8]) -> Read {
    let mut reading = Reading { rows: Vec::new(), section: None, first: None };
    let mut lines = Physical::new(source);
    let mut at = 0;
    let fault = loop {
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => break reading.end(lines.continued.take()).err(),
            Err(fault) => break Some(fault),
        };
        let range = at..at + line.length;
        let is_empty = is_empty(source.get(range.clone()).unwrap_or_default(), line.mark);
        match reading.line(line.part, is_empty) {
            Ok(role) => reading.rows.push(Row { text: Text::Source(range.clone()), role, mark: line.mark }),
            Err(fault) => break Some(fault),
        }
        at = range.end;
    };
    let number = lines.number;
    let Reading { mut rows, first, .. } = reading;
    let stop = fault.map(|reason| {
        // All of the line is left out.
        rows.truncate(first.unwrap_or(rows.len()));
        let start = rows.last().map_or(0, |row| match &row.text {
            Text::Source(range) => range.end,
            Text::New(_) => 0,
        });
        Stop { line: number, reason, start }
    });
    let open = stop.is_none() && first.is_some();
    Read { rows, open, stop }
}

/// Returns whether a line has nothing but blanks.
fn is_empty(line: &[u8], mark: bool) -> bool {
    let text = split_end(line).0;
    let text = if mark { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text };
    text.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

struct Reading {
    rows: Vec<Row>,
    section: Option<String>,
    /// The first line of a continued one that has not ended.
    first: Option<usize>,
}

impl Reading {
    /// Returns what a line is. The first of continued lines gets its role with the last one.
    fn line(&mut self, part: Part<'_>, is_empty: bool) -> Result<Role, Fault> {
        let whole = match part {
            Part::Comment(_) => return Ok(Role::Comment),
            Part::Continued if self.first.is_some() => return Ok(Role::Continuation),
            Part::Continued => {
                self.first = Some(self.rows.len());
                return Ok(Role::Ignored(None));
            }
            Part::Last(whole) => whole,
        };
        let role = self.role(whole)?;
        let Some(first) = self.first.take() else { return Ok(role.unwrap_or(Role::Blank)) };
        self.found(first, role);
        Ok(if is_empty { Role::End } else { Role::Continuation })
    }

    /// Reads what the end of the file cuts off.
    fn end(&mut self, continued: Option<Vec<u8>>) -> Result<(), Fault> {
        if let (Some(whole), Some(first)) = (continued, self.first) {
            let role = self.role(Cow::Owned(whole))?;
            self.found(first, role);
        }
        Ok(())
    }

    fn found(&mut self, first: usize, role: Option<Role>) {
        if let (Some(row), Some(role)) = (self.rows.get_mut(first), role) {
            row.role = role;
        }
    }

    /// Returns what a whole line is; `None` if it is empty.
    fn role(&mut self, whole: Cow<'_, [u8]>) -> Result<Option<Role>, Fault> {
        let text = match logical_line(whole)? {
            None | Some(Line::Comment(_)) => return Ok(None),
            Some(Line::Header(name)) if !is_section_name(&name) => return Err(Fault::SectionName),
            Some(Line::Header(name)) => {
                self.section = Some(name.clone().into_owned());
                return Ok(Some(Role::Header(name.into_owned())));
            }
            Some(Line::Other(text)) => text,
        };
        Ok(Some(match Line::setting(self.section.as_deref(), &text) {
            Ok((key, value)) => Role::Setting { key: key.to_owned(), value: value.to_owned() },
            Err(reason) => Role::Ignored(reason),
        }))
    }
}
