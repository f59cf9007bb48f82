//! Tells whether a [`UnitFile`] can be written so that it is read back unchanged. Rendering itself never fails: values
//! that were escaped ([`super::escape`]) are already checked; free-form settings and names from elsewhere are checked
//! here.

use super::escape::{is_printable_ascii, joins_next_line};
use super::lines::{LONG_LINE_MAX, is_section_name};
use super::words::is_noncharacter;
use super::{Item, Section, UnitFile};
use thiserror::Error;

/// Something in a file that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// The name is empty or contains quotes, backslashes, glob or control characters.
    #[error("[{section}]: not the name of a section")]
    SectionName {
        /// The name.
        section: String,
    },
    /// The key is empty, or would be read as a comment or header, with its `=` elsewhere, or without its blanks.
    #[error("[{section}] {key}=: not the name of a setting")]
    Key {
        /// The section it is in.
        section: String,
        /// The key.
        key: String,
    },
    /// The value, as it stands.
    #[error("[{section}] {key}=: the value {reason}")]
    Value {
        /// The section it is in.
        section: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: ValueFault,
    },
    /// The comment makes a line that systemd does not read.
    #[error("a comment is longer than 1 MiB")]
    LongComment,
}

/// Why a value cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueFault {
    /// A control character other than the tab, or a Unicode noncharacter.
    #[error("contains the character {0:?}")]
    Character(char),
    /// A blank at the beginning or the end.
    #[error("begins or ends in a blank, which would be lost")]
    EdgeBlank,
    /// An odd number of backslashes at the end.
    #[error("ends in a backslash, which would join the next line")]
    TrailingBackslash,
    /// The line reaches the limit.
    #[error("is longer than 1 MiB")]
    TooLong,
}

impl UnitFile {
    /// Fails on the first thing that systemd would read differently, or not at all. Comments only have to be short
    /// enough: line breaks in them are written as blanks.
    ///
    /// A parsed file can fail too: systemd takes control characters, and a backslash before a blank at the end of a
    /// line.
    pub fn check(&self) -> Result<(), RenderError> {
        let long = |comment: &String| comment.len() + 2 >= LONG_LINE_MAX;
        if self.header.iter().any(long) {
            return Err(RenderError::LongComment);
        }
        for section in &self.sections {
            check_section(&section.name)?;
            for item in &section.items {
                match item {
                    Item::Setting { key, value } => check_setting(&section.name, key, value)?,
                    Item::Comment(comment) if long(comment) => return Err(RenderError::LongComment),
                    Item::Comment(_) => {}
                }
            }
        }
        Ok(())
    }
}

impl Section {
    /// Adds `key=value` like [`Section::set`], unless it cannot be written.
    pub fn set_checked(&mut self, key: &str, value: impl Into<String>) -> Result<&mut Self, RenderError> {
        let value = value.into();
        check_setting(&self.name, key, &value)?;
        Ok(self.set(key.to_owned(), value))
    }
}

pub(super) fn check_section(name: &str) -> Result<(), RenderError> {
    // Its brackets and the line's end count too, hence the four.
    match is_section_name(name) && name.len() + 4 < LONG_LINE_MAX {
        true => Ok(()),
        false => Err(RenderError::SectionName { section: name.to_owned() }),
    }
}

/// Returns whether a key consists of letters and digits, as all keys of systemd do. A table is faster than comparisons.
fn is_simple(key: &str) -> bool {
    const SIMPLE: [bool; 256] = {
        let mut simple = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            simple[byte as usize] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        simple
    };
    key.bytes().all(|byte| SIMPLE[usize::from(byte)])
}

/// Returns whether a value is printable ASCII and means the same at the end of its line, as almost every value does.
fn is_plain(value: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\\'));
    let bytes = value.as_bytes();
    !edge(bytes.first()) && !edge(bytes.last()) && is_printable_ascii(value)
}

pub(super) fn check_setting(section: &str, key: &str, value: &str) -> Result<(), RenderError> {
    if !key.is_empty() && is_simple(key) && key.len() + 1 + value.len() < LONG_LINE_MAX && is_plain(value) {
        return Ok(());
    }
    let blank = [' ', '\t'];
    let bad = |c: char| (c.is_ascii_control() && c != '\t') || is_noncharacter(c);
    // A byte order mark in front is stripped, once.
    let bad_start = [' ', '\t', '#', ';', '[', '\u{feff}'];
    if key.is_empty()
        || !is_simple(key)
            && (key.starts_with(bad_start) || key.ends_with(blank) || key.contains(|c| c == '=' || bad(c)))
    {
        return Err(RenderError::Key { section: section.to_owned(), key: key.to_owned() });
    }
    let reason = if let Some(c) = value.chars().find(|c| bad(*c)) {
        ValueFault::Character(c)
    } else if value.starts_with(blank) || value.ends_with(blank) {
        ValueFault::EdgeBlank
    } else if joins_next_line(value.as_bytes()) {
        ValueFault::TrailingBackslash
    } else if key.len() + 1 + value.len() >= LONG_LINE_MAX {
        ValueFault::TooLong
    } else {
        return Ok(());
    };
    Err(RenderError::Value { section: section.to_owned(), key: key.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn fault(key: &str, value: &str) -> Option<RenderError> {
        let mut file = UnitFile::default();
        let error = file.section("Service").set_checked(key, value).err();
        assert_eq!(file.section("Service").set(key.to_owned(), value).items.len(), 1);
        assert_eq!(file.check().err(), error);
        error
    }

    fn value_fault(value: &str) -> ValueFault {
        match fault("Key", value) {
            Some(RenderError::Value { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_that_would_change_are_refused() {
        for value in ["", "a b\tc", "a\\\\", "\\a", "=", "#", "[", "é"] {
            assert_eq!(fault("Key", value), None, "{value:?}");
        }
        for c in ['\n', '\r', '\0', '\x1b', '\x7f', '\u{ffff}'] {
            assert_eq!(value_fault(&format!("a{c}b")), ValueFault::Character(c));
        }
        assert_eq!(value_fault(" a"), ValueFault::EdgeBlank);
        assert_eq!(value_fault("a\t"), ValueFault::EdgeBlank);
        assert_eq!(value_fault("a\\"), ValueFault::TrailingBackslash);
        assert_eq!(value_fault("\\\\\\"), ValueFault::TrailingBackslash);
        assert_eq!(value_fault(&"a".repeat(LONG_LINE_MAX - 4)), ValueFault::TooLong);
        assert_eq!(fault("Key", &"a".repeat(LONG_LINE_MAX - 5)), None);
    }

    #[test]
    fn keys_that_would_read_as_something_else_are_refused() {
        for key in ["", "#Key", ";Key", "[Key", " Key", "Key\t", "Ke=y", "Ke\ny", "\u{feff}Key"] {
            assert!(matches!(fault(key, ""), Some(RenderError::Key { .. })), "{key:?}");
        }
        assert_eq!(fault("X-Key", ""), None);
    }

    #[test]
    fn section_names_that_any_version_refuses_are_refused() {
        for name in ["", "a\nb", "a\"", "a'", "a\\", "a*", "a?", "a[", "\x7f"] {
            let mut file = UnitFile::default();
            file.section(name);
            assert_eq!(file.check(), Err(RenderError::SectionName { section: name.to_owned() }));
        }
        let mut file = UnitFile::default();
        file.section("a b]");
        assert_eq!(file.check(), Ok(()));
    }

    #[test]
    fn comments_only_have_to_be_short() {
        let mut file = UnitFile::default();
        file.comment("a\nb");
        assert_eq!(file.check(), Ok(()));
        assert_eq!(file.to_string(), "# a b\n");
        file.comment("a".repeat(LONG_LINE_MAX));
        assert_eq!(file.check(), Err(RenderError::LongComment));
    }
}
