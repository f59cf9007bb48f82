//! Passes the messages of programs on to standard error as they arrive. A flake's author can put any text in them, so
//! what would control a terminal is escaped. Nix removes only escape sequences that begin with ESC.

use std::io::{self, Write};

use crate::base::output::printable;

/// The messages of a program.
#[derive(Debug, Default)]
pub(crate) struct PassedOn {
    /// The start of a character whose end has not arrived.
    begun: Vec<u8>,
}

impl PassedOn {
    /// Writes what has arrived to standard error; errors are ignored.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let text = self.text(bytes);
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Returns what has arrived as text that is safe on a terminal.
    fn text(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let open = self.begun.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        let open =
            std::str::from_utf8(open).is_err_and(|error| error.error_len().is_none()).then_some(open.len());
        let rest = self.begun.split_off(self.begun.len() - open.unwrap_or(0));
        let text = String::from_utf8_lossy(&self.begun);
        let text = printable(&text).into_owned();
        self.begun = rest;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_safe_however_it_arrives() {
        let bytes = "a\u{9b}31m ü\u{202e}\u{1b}]0;x\u{7}\n€".as_bytes();
        let expected = "a\\u{9b}31m ü\\u{202e}\\u{1b}]0;x\\u{7}\n€";
        for size in 1..=bytes.len() {
            let mut passed = PassedOn::default();
            let text: String = bytes.chunks(size).map(|chunk| passed.text(chunk)).collect();
            assert_eq!(text, expected, "{size}");
        }
        let mut passed = PassedOn::default();
        assert_eq!(passed.text(b"a\xff\xe2\x82"), "a\u{fffd}");
        assert_eq!(passed.text(b"\xac\xc3"), "€");
        assert_eq!(passed.text(b"b\n"), "\u{fffd}b\n");
    }
}
