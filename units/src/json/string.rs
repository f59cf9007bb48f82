//! Strings of a JSON text and their escapes.

use std::borrow::Cow;

use super::error::Error;
use super::reader::Reader;

/// The bytes that stand for themselves in a string. A table is faster than comparisons, and files are mostly strings.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

impl<'de> Reader<'de> {
    /// Reads a string, whose quote is next.
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, Error> {
        self.advance();
        let mut start = self.offset();
        let mut owned: Option<String> = None;
        loop {
            self.take_while(|byte| PLAIN[usize::from(byte)]);
            let part = self.since(start);
            match self.peek() {
                Some(b'"') => {
                    self.advance();
                    return Ok(match owned {
                        Some(text) => Cow::Owned(text + part),
                        None => Cow::Borrowed(part),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(part);
                    self.advance();
                    let escaped = self.escaped()?;
                    text.push(escaped);
                    start = self.offset();
                }
                Some(_) => {
                    return Err(
                        self.syntax("control character (\\u0000-\\u001F) found while parsing a string")
                    );
                }
                None => return Err(self.syntax("EOF while parsing a string")),
            }
        }
    }

    /// Reads an escape, after its backslash.
    fn escaped(&mut self) -> Result<char, Error> {
        let letter = self.peek().ok_or_else(|| self.syntax("EOF while parsing a string"))?;
        let escaped = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.advance();
                return self.hexadecimal();
            }
            _ => return Err(self.syntax("invalid escape")),
        };
        self.advance();
        Ok(escaped)
    }

    /// Reads the digits of `\uXXXX`, and the second half of a surrogate pair.
    fn hexadecimal(&mut self) -> Result<char, Error> {
        let first = self.four_digits()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.syntax("invalid unicode code point"));
        }
        if first >= 0xdc00 || !(self.take(b'\\') && self.take(b'u')) {
            return Err(self.syntax("lone surrogate in hex escape"));
        }
        let second = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(self.syntax("lone surrogate in hex escape"));
        }
        let point = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(point).ok_or_else(|| self.syntax("invalid unicode code point"))
    }

    fn four_digits(&mut self) -> Result<u32, Error> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let end = self.peek().is_none();
            let what = if end { "EOF while parsing a string" } else { "invalid escape" };
            value = value * 16 + digit.ok_or_else(|| self.syntax(what))?;
            self.advance();
        }
        Ok(value)
    }
}
