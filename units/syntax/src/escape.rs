//! Writes a text into a setting so that systemd reads the same text back, and the inverse. There is one function per
//! kind of place, because quotes, backslashes, `%` and `$` mean something else in each; the result is the value, or one
//! word of it. A text that its place cannot hold is refused, never changed.
//!
//! No place accepts control characters other than the tab, except the two with C escapes: a line feed, a carriage
//! return and a NUL all end the line for `read_line()`. Nor does any accept Unicode noncharacters, which make systemd
//! refuse the whole line as broken UTF-8.
//!
//! ```
//! use systemd_unit_syntax::escape::{exec_argument, exec_values};
//!
//! let line = format!("/bin/echo {}", exec_argument("100% of $HOME")?);
//! assert_eq!(line, r#"/bin/echo "100%% of $$HOME""#);
//! assert_eq!(exec_values(&line)?, ["/bin/echo", "100% of $HOME"]);
//! # Ok::<(), systemd_unit_syntax::escape::EscapeError>(())
//! ```

mod error;
mod read;

use super::words::is_noncharacter;

pub use error::EscapeError;
pub use read::{
    bind_field_value, environment_values, exec_values, nspawn_values, requires_mounts_for_values,
    unit_raw_value,
};

/// Writes one word of `Environment=` in a unit: a whole `NAME=value` assignment. Anything but NUL and noncharacters can
/// be written; `$` is literal there (`systemd.exec(5)`).
pub fn environment(assignment: &str) -> Result<String, EscapeError> {
    unit_word(assignment, false)
}

/// Writes one argument of an `Exec*=` command, not the executable. The program gets the argument unchanged; no
/// specifier, variable or `;` is taken for one (`systemd.service(5)`).
pub fn exec_argument(argument: &str) -> Result<String, EscapeError> {
    unit_word(argument, true)
}

/// Writes the executable of an `Exec*=` command, after any prefix such as `-` or `+`. Variables are not expanded there.
/// systemd refuses quotes, backslashes and, from 262 on, glob characters; so does this function.
pub fn executable(path: &str) -> Result<String, EscapeError> {
    let bad = |c: char| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\' | '*' | '?' | '[' | '$');
    if let Some(character) = path.chars().find(|c| bad(*c) || is_noncharacter(*c)) {
        return Err(EscapeError::Character { value: path.to_owned(), character });
    }
    if !path.starts_with('/') || path.ends_with('/') || path.ends_with("/.") {
        return Err(EscapeError::Executable { value: path.to_owned() });
    }
    unit_word(path, false)
}

/// Writes one path of `RequiresMountsFor=` (`systemd.unit(5)`).
pub fn requires_mounts_for(path: &str) -> Result<String, EscapeError> {
    if is_plain_word(path) {
        return Ok(path.to_owned());
    }
    printable(path)?;
    let mut word = String::with_capacity(path.len() + 8);
    word.push('"');
    for c in path.chars() {
        match c {
            '\\' | '"' => word.extend(['\\', c]),
            '%' => word.push_str("%%"),
            _ => word.push(c),
        }
    }
    word.push('"');
    Ok(word)
}

/// Writes a whole unit setting that has specifiers but no quoting: `SourcePath=`, `Description=`, `WorkingDirectory=`,
/// and the path of `LoadCredential=` after its `ID:`.
pub fn unit_raw(value: &str) -> Result<String, EscapeError> {
    raw(value)?;
    Ok(if value.contains('%') { value.replace('%', "%%") } else { value.to_owned() })
}

/// Writes one word of `Parameters=` or `Environment=` in a `.nspawn` file, where quotes group and nothing else is
/// special. Quotes are quoted with each other: `'"'"'"` is `"'`.
pub fn nspawn_word(word: &str) -> Result<String, EscapeError> {
    if is_plain_word(word) {
        return Ok(word.to_owned());
    }
    printable(word)?;
    let mut quoted = String::with_capacity(word.len() + 8);
    let mut rest = word;
    loop {
        // As far as one kind of quotes goes: up to the first quote of the same kind.
        let first = rest.chars().find(|c| matches!(c, '"' | '\''));
        let quote = if first == Some('"') { '\'' } else { '"' };
        let (segment, tail) = rest.split_at(rest.find(quote).unwrap_or(rest.len()));
        quoted.push(quote);
        quoted.push_str(segment);
        quoted.push(quote);
        if tail.is_empty() {
            return Ok(quoted);
        }
        rest = tail;
    }
}

/// Writes one of the `:`-separated fields of `Bind=`, `BindReadOnly=`, `Overlay=` and the path of
/// `TemporaryFileSystem=`; options are written unchanged. A blank at either end of the *whole* value is lost: put `:`
/// after a bind's destination that ends in one.
pub fn bind_field(path: &str) -> Result<String, EscapeError> {
    printable(path)?;
    if !path.contains(['\\', ':']) {
        return Ok(path.to_owned());
    }
    let mut field = String::with_capacity(path.len() + 8);
    for c in path.chars() {
        if matches!(c, '\\' | ':') {
            field.push('\\');
        }
        field.push(c);
    }
    Ok(field)
}

/// Writes a whole `.nspawn` setting in which no character is special: `Inaccessible=`, `WorkingDirectory=`,
/// `Hostname=`, the options of a bind mount.
pub fn nspawn_raw(value: &str) -> Result<String, EscapeError> {
    raw(value)?;
    Ok(value.to_owned())
}

/// Writes a word for `EXTRACT_UNQUOTE | EXTRACT_CUNESCAPE`.
fn unit_word(text: &str, variables: bool) -> Result<String, EscapeError> {
    if is_plain_word(text) {
        return Ok(text.to_owned());
    }
    let mut word = String::with_capacity(text.len() + 8);
    word.push('"');
    for c in text.chars() {
        match c {
            '\\' | '"' => word.extend(['\\', c]),
            '%' => word.push_str("%%"),
            '$' if variables => word.push_str("$$"),
            '\n' => word.push_str("\\n"),
            '\r' => word.push_str("\\r"),
            '\t' => word.push_str("\\t"),
            '\0' => return Err(character(text, c)),
            '\x01'..='\x1f' | '\x7f' => word.push_str(&format!("\\x{:02x}", u32::from(c))),
            // systemd would take the escape, but the resulting value would not be UTF-8 to it.
            _ if is_noncharacter(c) => return Err(character(text, c)),
            _ => word.push(c),
        }
    }
    word.push('"');
    Ok(word)
}

/// Returns whether the text is the same quoted and bare in every place that has words. Most texts are, and read better
/// without quotes.
fn is_plain_word(text: &str) -> bool {
    // A pattern becomes two tests of bits, where contains() compares with one after the other.
    let plain = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'=' | b':' | b',' | b'+' | b'@')
    };
    !text.is_empty() && text.as_bytes().iter().all(plain)
}

fn character(value: &str, character: char) -> EscapeError {
    EscapeError::Character { value: value.to_owned(), character }
}

/// Returns whether a line with this end continues on the next: an odd number of backslashes.
pub(super) fn joins_next_line(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Returns whether the text is printable ASCII, as almost every text is. Most are shorter than what a compiler's loop takes
/// at once, so eight bytes are looked at together.
pub fn is_printable_ascii(text: &str) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    };
    // The highest bit of a byte is set by one below the blank or above the tilde. What such a byte carries into the next
    // cannot hide anything, since its own bit is set.
    let mark = |marked: u64, word: [u8; 8]| {
        let word = u64::from_ne_bytes(word);
        marked | word | word.wrapping_sub(EACH * 0x20) | word.wrapping_add(EACH)
    };
    let words = bytes.chunks_exact(8).map(|word| word.try_into().unwrap_or_default());
    // The last eight bytes have some that were looked at before, or all.
    let marked = mark(words.fold(0, mark), *last);
    marked & (EACH * 0x80) == 0
}

/// Refuses what no place without C escapes can hold.
fn printable(text: &str) -> Result<(), EscapeError> {
    if is_printable_ascii(text) {
        return Ok(());
    }
    let bad = |c: &char| (c.is_ascii_control() && *c != '\t') || is_noncharacter(*c);
    match text.chars().find(bad) {
        Some(c) => Err(character(text, c)),
        None => Ok(()),
    }
}

/// Refuses what a setting without any quoting cannot hold.
fn raw(value: &str) -> Result<(), EscapeError> {
    printable(value)?;
    if value.is_empty() {
        return Err(EscapeError::Empty);
    }
    if value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']) {
        return Err(EscapeError::EdgeBlank { value: value.to_owned() });
    }
    if joins_next_line(value.as_bytes()) {
        return Err(EscapeError::TrailingBackslash { value: value.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
