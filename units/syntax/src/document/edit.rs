//! Changes of a document.

use super::row::{Role, Text, split_end};
use super::{Document, EditError};
use crate::check::{RenderError, ValueFault, check_section, check_setting};
use crate::lines::{BYTE_ORDER_MARK, LONG_LINE_MAX};

/// Edits leave every comment, blank line and other setting as it is. Line breaks cannot be part of a value; values are
/// written as they are, so they have to be escaped for their place before ([`escape`](crate::escape)). If an edit fails, the
/// document is as before.
impl Document {
    /// Makes a value the only one of a setting. Its last assignment is changed in place, with the blanks around the `=` as
    /// they were, and earlier ones are removed. Without any, one is added at the end of the section, which is made at the
    /// end of the file if need be.
    ///
    /// Empty assignments stay in front of the new one: in a drop-in they reset what other files assign.
    ///
    /// ```
    /// # use systemd_unit_syntax::Document;
    /// let mut drop_in = Document::parse("[Service]\nExecStart=\nExecStart=/bin/old\n");
    /// drop_in.set("Service", "ExecStart", "/bin/new")?;
    /// assert_eq!(drop_in.to_bytes(), b"[Service]\nExecStart=\nExecStart=/bin/new\n");
    ///
    /// let error = drop_in.set("Service", "ExecStart", "/bin/a\n/bin/b").unwrap_err();
    /// assert_eq!(error.to_string(), r"[Service] ExecStart=: the value contains the character '\n'");
    /// # Ok::<(), systemd_unit_syntax::EditError>(())
    /// ```
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> Result<(), EditError> {
        self.check(section, key, value)?;
        let rows = self.assignments(section, key);
        match rows.last() {
            None => self.add(section, key, value),
            Some(last) if self.value(*last).is_empty() => {
                if !value.is_empty() {
                    self.insert_after(*last, key, value);
                }
            }
            Some(last) => self.replace(*last, key, value),
        }
        if let Some((_, earlier)) = rows.split_last() {
            self.delete_values(earlier);
        }
        self.sweep();
        Ok(())
    }

    /// Makes these the values of a setting, an assignment each. Assignments that have their value and place already are not
    /// touched, and empty ones stay in front, as with [`set`](Self::set).
    ///
    /// ```
    /// # use systemd_unit_syntax::Document;
    /// let mut file = Document::parse("[Network]\nPort=80\n# Of the mail server.\nPort=25\n");
    /// file.set_all("Network", "Port", &["80", "443", "25"])?;
    /// assert_eq!(file.to_bytes(), b"[Network]\nPort=80\nPort=443\n# Of the mail server.\nPort=25\n");
    /// # Ok::<(), systemd_unit_syntax::EditError>(())
    /// ```
    pub fn set_all(&mut self, section: &str, key: &str, values: &[impl AsRef<str>]) -> Result<(), EditError> {
        self.check(section, key, "")?;
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        for value in &values {
            self.check(section, key, value)?;
        }
        let rows = self.assignments(section, key);
        let reset = rows.iter().rposition(|row| self.value(*row).is_empty());
        let (dead, live) = rows.split_at(reset.map_or(0, |reset| reset + 1));
        let equal = |row: &usize, value: &&str| self.value(*row) == *value;
        let before = live.iter().zip(&values).take_while(|(row, value)| equal(row, value)).count();
        let most = live.len().min(values.len()) - before;
        let behind = live.iter().rev().zip(values.iter().rev()).take(most);
        let behind = behind.take_while(|(row, value)| equal(row, value)).count();
        let old = live.get(before..live.len() - behind).unwrap_or_default();
        let new = values.get(before..values.len() - behind).unwrap_or_default();
        let (changed, added) = new.split_at(old.len().min(new.len()));

        // From the end of the file to its beginning, so that earlier places stay.
        for row in old.iter().skip(changed.len()) {
            self.delete_setting(*row);
        }
        let anchor =
            old.last().or(before.checked_sub(1).and_then(|last| live.get(last))).or(dead.last()).copied();
        for value in added.iter().rev() {
            match (anchor, live.first()) {
                (Some(row), _) => self.insert_after(row, key, value),
                (None, Some(row)) => self.insert(*row, &format!("{key}={value}"), setting(key, value)),
                (None, None) => break,
            }
        }
        if rows.is_empty() {
            for value in added {
                self.append(section, key, value)?;
            }
        }
        for (row, value) in old.iter().zip(changed).rev() {
            self.replace(*row, key, value);
        }
        self.delete_values(dead);
        self.sweep();
        Ok(())
    }

    /// Adds an assignment behind the others of the setting, or like [`set`](Self::set) if there is none. This adds to a list,
    /// and an empty value resets it.
    pub fn append(&mut self, section: &str, key: &str, value: &str) -> Result<(), EditError> {
        self.check(section, key, value)?;
        match self.assignments(section, key).last() {
            Some(last) => self.insert_after(*last, key, value),
            None => self.add(section, key, value),
        }
        Ok(())
    }

    /// Removes every assignment of a setting, empty ones too; returns how many there were.
    pub fn remove(&mut self, section: &str, key: &str) -> Result<usize, EditError> {
        self.remove_if(section, key, |_| true)
    }

    /// Removes the assignments whose value `unwanted` accepts; returns how many there were.
    ///
    /// ```
    /// # use systemd_unit_syntax::Document;
    /// let mut file = Document::parse("[Files]\nBind=/srv \\\n# The mail.\n\nBind=/data\n");
    /// assert_eq!(file.remove_if("Files", "Bind", |value| value.starts_with("/srv"))?, 1);
    /// assert_eq!(file.to_bytes(), b"[Files]\n# The mail.\n\nBind=/data\n");
    /// # Ok::<(), systemd_unit_syntax::EditError>(())
    /// ```
    pub fn remove_if(
        &mut self,
        section: &str,
        key: &str,
        mut unwanted: impl FnMut(&str) -> bool,
    ) -> Result<usize, EditError> {
        self.readable()?;
        let mut rows = self.assignments(section, key);
        rows.retain(|row| unwanted(self.value(*row)));
        for row in &rows {
            self.delete_setting(*row);
        }
        self.sweep();
        Ok(rows.len())
    }

    /// Adds a section at the end of the file, unless there is one of that name.
    pub fn add_section(&mut self, name: &str) -> Result<(), EditError> {
        self.readable()?;
        check_section(name)?;
        if self.headers(name).is_empty() {
            self.new_section(name);
        }
        Ok(())
    }

    /// Removes every section of that name with its settings and comments; returns how many there were. Comments directly
    /// above the next header stay.
    pub fn remove_section(&mut self, name: &str) -> Result<usize, EditError> {
        self.readable()?;
        let headers = self.headers(name);
        let bodies: Vec<_> = headers.iter().map(|header| *header..self.body(*header).end).collect();
        for body in &bodies {
            self.open &= body.end < self.rows.len();
            body.clone().for_each(|at| self.delete(at));
        }
        self.sweep();
        Ok(headers.len())
    }

    fn readable(&self) -> Result<(), EditError> {
        match self.stop {
            Some(stop) => Err(EditError::Unreadable { line: stop.line, reason: stop.reason }),
            None => Ok(()),
        }
    }

    fn check(&self, section: &str, key: &str, value: &str) -> Result<(), EditError> {
        self.readable()?;
        check_section(section)?;
        check_setting(section, key, value)?;
        // A byte order mark may stand in front.
        if BYTE_ORDER_MARK.len() + key.len() + 1 + value.len() >= LONG_LINE_MAX {
            let (section, key) = (section.to_owned(), key.to_owned());
            return Err(RenderError::Value { section, key, reason: ValueFault::TooLong }.into());
        }
        Ok(())
    }

    /// Returns the value of an assignment, or nothing.
    fn value(&self, row: usize) -> &str {
        match self.rows.get(row).map(|row| &row.role) {
            Some(Role::Setting { value, .. }) => value,
            _ => "",
        }
    }

    /// Removes the assignments among these that are not empty.
    fn delete_values(&mut self, rows: &[usize]) {
        for row in rows {
            if !self.value(*row).is_empty() {
                self.delete_setting(*row);
            }
        }
    }

    /// Adds an assignment of a key that has none.
    fn add(&mut self, section: &str, key: &str, value: &str) {
        if self.headers(section).is_empty() {
            self.new_section(section);
        }
        if let Some(header) = self.headers(section).last() {
            let at = self.end_of_section(*header);
            self.insert(at, &format!("{key}={value}"), setting(key, value));
        }
    }

    fn insert_after(&mut self, row: usize, key: &str, value: &str) {
        self.insert(self.after(row), &format!("{key}={value}"), setting(key, value));
    }

    fn new_section(&mut self, name: &str) {
        self.close();
        if self.rows.last().is_some_and(|row| !matches!(row.role, Role::Blank | Role::End)) {
            self.blank_line();
        }
        self.insert(self.rows.len(), &format!("[{name}]"), Role::Header(name.to_owned()));
    }

    /// Writes another value in the place of one, on one line.
    fn replace(&mut self, first: usize, key: &str, value: &str) {
        if self.value(first) == value {
            return;
        }
        let before = self.before_value(first, value);
        let has_mark = self.rows.get(first).is_some_and(|row| row.mark);
        let mark = self.delete_continuations(first) && !has_mark;
        let Some(row) = self.rows.get_mut(first) else { return };
        let mut line = if mark { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
        match before {
            Some(before) => line.extend_from_slice(&before),
            None => {
                if has_mark {
                    line.extend_from_slice(BYTE_ORDER_MARK);
                }
                line.extend_from_slice(key.as_bytes());
                line.push(b'=');
            }
        }
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(row.end(&self.source));
        row.text = Text::New(line);
        row.role = setting(key, value);
        row.mark |= mark;
    }

    /// Returns what stands in front of a value, with the blanks after the `=`; `None` if that is not all on the first line,
    /// or too long.
    fn before_value(&self, first: usize, value: &str) -> Option<Vec<u8>> {
        let line = split_end(self.rows.get(first)?.bytes(&self.source)).0;
        let equals = line.iter().position(|byte| *byte == b'=')?;
        let (before, rest) = line.split_at_checked(equals + 1)?;
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let before = if value.is_empty() { before } else { line.get(..before.len() + blanks)? };
        (BYTE_ORDER_MARK.len() + before.len() + value.len() < LONG_LINE_MAX).then(|| before.to_vec())
    }
}

fn setting(key: &str, value: &str) -> Role {
    Role::Setting { key: key.to_owned(), value: value.to_owned() }
}
