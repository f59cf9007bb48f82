//! Reads JSON (RFC 8259) into serde types. Every error has its kind, its place and the path of its field. Time and
//! memory are linear in the input, nesting is bounded, and no input causes a panic.
//!
//! Stricter than serde_json: an object names no field twice, a struct is an object and no list, an enum is a string.

mod deserialize;
mod error;
mod number;
mod object;
#[cfg(test)]
mod properties;
mod reader;
mod string;
#[cfg(test)]
mod tests;

use serde::Deserialize;

pub(crate) use deserialize::TEXT_OR_OBJECT;
pub(crate) use error::{Error, Kind, PassedOver};
pub(crate) use object::field_names;
use reader::Reader;

/// Reads a whole text into `T`.
pub(crate) fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    Reader::new(text).whole()
}

/// Reads a whole text into `T`, without the top-level field `except`.
pub(crate) fn read_except<'de, T: Deserialize<'de>>(
    text: &'de str,
    except: &'static str,
) -> Result<T, Error> {
    let mut reader = Reader::new(text);
    reader.except = Some(except);
    reader.whole()
}

/// Does the same, but skips unknown fields of structs.
pub(crate) fn read_known<'de, T: Deserialize<'de>>(
    text: &'de str,
    except: &'static str,
) -> Result<(T, Vec<PassedOver>), Error> {
    let mut reader = Reader::new(text);
    reader.except = Some(except);
    reader.passed_over = Some(Vec::new());
    let value = reader.whole()?;
    Ok((value, reader.passed_over.unwrap_or_default()))
}

/// Fails if the text is not JSON.
pub(crate) fn check(text: &str) -> Result<(), Error> {
    read::<serde::de::IgnoredAny>(text).map(drop)
}

/// A value in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    /// The offset of its first byte.
    pub(crate) at: usize,
    /// The value as it is written.
    pub(crate) text: &'a str,
}

/// Finds the value at a path of names; `None` if there is none.
pub(crate) fn find<'a>(text: &'a str, path: &[&str]) -> Option<Found<'a>> {
    let mut reader = Reader::new(text);
    for name in path {
        reader.enter(name)?;
    }
    reader.blanks();
    let at = reader.offset();
    reader.skip().ok()?;
    Some(Found { at, text: text.get(at..reader.offset())? })
}

/// Returns line and column of an offset, both from 1; a column is a character.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
