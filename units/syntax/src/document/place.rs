//! Where lines stand in a document, and where new ones go.

use super::Document;
use super::row::{Role, Row, Text};

impl Document {
    /// Returns the first lines of the assignments of a key, in file order.
    pub(super) fn assignments(&self, section: &str, key: &str) -> Vec<usize> {
        let mut inside = false;
        let mut found = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            match &row.role {
                Role::Header(name) => inside = name == section,
                Role::Setting { key: own, .. } if inside && own == key => found.push(at),
                _ => {}
            }
        }
        found
    }

    /// Returns the first lines of the headers of a section.
    pub(super) fn headers(&self, section: &str) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| matches!(&row.role, Role::Header(name) if name == section))
            .map(|(at, _)| at)
            .collect()
    }

    /// Returns the lines of the section with this header, without the comments directly above the next header, which belong
    /// to that.
    pub(super) fn body(&self, header: usize) -> std::ops::Range<usize> {
        let start = self.after(header);
        let rest = self.rows.get(start..).unwrap_or_default();
        let Some(next) = rest.iter().position(|row| matches!(row.role, Role::Header(_))) else {
            return start..self.rows.len();
        };
        let body = rest.get(..next).unwrap_or_default();
        match body.iter().rposition(|row| row.role != Role::Comment) {
            Some(last) => start..start + last + 1,
            // All of the section is comments.
            None => start..start + next,
        }
    }

    /// Returns where the line that begins at `first` ends, with its continuations.
    pub(super) fn after(&self, first: usize) -> usize {
        if self.is_open(first) {
            return self.rows.len();
        }
        let mut after = first + 1;
        for (at, row) in self.rows.iter().enumerate().skip(first + 1) {
            match row.role {
                Role::Continuation | Role::End => after = at + 1,
                Role::Comment | Role::Gone => {}
                _ => break,
            }
        }
        after
    }

    /// Returns whether the line that begins at `first` is cut off by the end of the file.
    pub(super) fn is_open(&self, first: usize) -> bool {
        self.open && self.rows.iter().rposition(|row| row.role.begins()) == Some(first)
    }

    /// Returns where the first assignment of a key goes: at the end of the section.
    pub(super) fn end_of_section(&self, header: usize) -> usize {
        let body = self.body(header);
        let rows = self.rows.get(body.clone()).unwrap_or_default();
        rows.iter().rposition(|row| row.role != Role::Blank).map_or(body.start, |last| body.start + last + 1)
    }

    /// Inserts a line, given without its end. The place must not be inside a continued line, except one that the end of the
    /// file cuts off.
    pub(super) fn insert(&mut self, at: usize, line: &str, role: Role) {
        let at = if at >= self.rows.len() { self.close() } else { at };
        let text = Text::New([line.as_bytes(), self.line_end().as_bytes()].concat());
        self.rows.insert(at, Row { text, role, mark: false });
    }

    /// Ends the last line of the file, so that another can follow; returns the place for that.
    pub(super) fn close(&mut self) -> usize {
        let default = self.line_end().as_bytes();
        if let Some(last) = self.rows.last_mut() {
            let mut end = last.end(&self.source).to_vec();
            if end.is_empty() {
                end = default.to_vec();
                last.text = Text::New([last.bytes(&self.source), &end].concat());
            }
            if self.open {
                // The same end twice makes two lines; others may be one together.
                self.rows.push(Row { text: Text::New(end), role: Role::End, mark: false });
                self.open = false;
            }
        }
        self.rows.len()
    }

    /// Returns the end of lines that new ones get: that of the first one, LF or CR LF.
    fn line_end(&self) -> &'static str {
        match self.rows.first().map(|row| row.end(&self.source)) {
            Some(b"\r\n") => "\r\n",
            _ => "\n",
        }
    }

    /// Adds an empty line to the end of the file, whose last line must have an end.
    pub(super) fn blank_line(&mut self) {
        let end = self.rows.last().map_or(Vec::new(), |row| row.end(&self.source).to_vec());
        self.rows.push(Row { text: Text::New(end), role: Role::Blank, mark: false });
    }

    /// Removes an assignment, except for comments between its lines, the empty line at its end, and the byte order mark.
    pub(super) fn delete_setting(&mut self, first: usize) {
        let mark = self.delete_continuations(first);
        if let Some(row) = self.rows.get_mut(first) {
            row.mark |= mark;
        }
        self.delete(first);
    }

    /// Removes what continues the line that begins at `first`; returns whether the byte order mark was there.
    pub(super) fn delete_continuations(&mut self, first: usize) -> bool {
        let range = first + 1..self.after(first);
        self.open &= !self.is_open(first);
        let mut mark = false;
        for row in self.rows.get_mut(range).unwrap_or_default() {
            match row.role {
                Role::Continuation => {
                    mark |= row.mark;
                    row.role = Role::Gone;
                }
                Role::End => row.role = Role::Blank,
                _ => {}
            }
        }
        mark
    }

    /// Removes a line, except for the byte order mark.
    pub(super) fn delete(&mut self, at: usize) {
        if let Some(row) = self.rows.get_mut(at) {
            match row.only_mark(&self.source) {
                Some(only_mark) => *row = only_mark,
                None => row.role = Role::Gone,
            }
        }
    }

    /// Ends an edit by dropping the lines that were removed.
    pub(super) fn sweep(&mut self) {
        self.rows.retain(|row| row.role != Role::Gone);
    }
}
