//! Reads numbers (RFC 8259, section 6).

use super::error::Error;
use super::reader::Reader;

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A whole number, not negative.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    /// Any other number.
    Float(f64),
}

impl Reader<'_> {
    /// Reads a number, whose sign or first digit is next.
    pub(super) fn number(&mut self) -> Result<Number, Error> {
        let start = self.offset();
        let negative = self.take(b'-');
        let zero = self.peek() == Some(b'0');
        let digits = self.digits();
        let mut whole = true;
        if zero && digits > 1 {
            return Err(self.syntax("invalid number"));
        }
        if digits == 0 {
            return Err(self.unfinished_number());
        }
        if self.take(b'.') {
            whole = false;
            if self.digits() == 0 {
                return Err(self.unfinished_number());
            }
        }
        if self.take(b'e') || self.take(b'E') {
            whole = false;
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(self.unfinished_number());
            }
        }
        let text = self.since(start);
        if whole && !negative {
            if let Ok(number) = text.parse() {
                return Ok(Number::Unsigned(number));
            }
        } else if whole && !zero {
            if let Ok(number) = text.parse() {
                return Ok(Number::Signed(number));
            }
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Number::Float(number)),
            _ => Err(self.syntax("number out of range")),
        }
    }

    fn unfinished_number(&self) -> Error {
        let end = self.peek().is_none();
        self.syntax(if end { "EOF while parsing a value" } else { "invalid number" })
    }

    fn digits(&mut self) -> usize {
        let start = self.offset();
        self.take_while(|byte| byte.is_ascii_digit());
        self.offset() - start
    }
}
