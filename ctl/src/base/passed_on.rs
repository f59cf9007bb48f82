//! Passes the messages of programs on to standard error as they arrive. A flake's author can put any text in them, so
//! what would control a terminal is escaped. Nix removes only escape sequences that begin with ESC. Nix also names URLs
//! with the passwords in them, so secrets are hidden.

use std::io::{self, Write};

use crate::base::output::printable;
use crate::base::secrets::without_secrets_after;

/// The messages of a program.
#[derive(Debug, Default)]
pub(crate) struct PassedOn {
    /// The start of a character whose end has not arrived.
    begun: Vec<u8>,
    /// The start of a word whose end has not arrived: it may be a URL. Prompts end with a blank.
    word: String,
    /// Whether the last word was a setting whose value is secret.
    secret: bool,
}

/// The longest word that is waited for.
const WORD: usize = 8 << 10;

impl PassedOn {
    /// Writes what has arrived to standard error; errors are ignored.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let text = self.text(bytes);
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Returns what has arrived, up to the last word, without secrets.
    fn text(&mut self, bytes: &[u8]) -> String {
        let mut text = std::mem::take(&mut self.word) + &self.characters(bytes);
        let begin = text.rfind(|c: char| c.is_ascii_whitespace()).map_or(0, |at| at + 1);
        if text.len() - begin <= WORD {
            self.word = text.split_off(begin);
        }
        without_secrets_after(&text, &mut self.secret)
    }

    /// Returns what has arrived as text that is safe on a terminal.
    fn characters(&mut self, bytes: &[u8]) -> String {
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

impl Drop for PassedOn {
    fn drop(&mut self) {
        let rest = without_secrets_after(&std::mem::take(&mut self.word), &mut self.secret);
        if !rest.is_empty() {
            let _ = io::stderr().write_all(rest.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_safe_however_it_arrives() {
        let bytes = "a\u{9b}31m ü\u{202e}\u{1b}]0;x\u{7}\n€ ".as_bytes();
        let expected = "a\\u{9b}31m ü\\u{202e}\\u{1b}]0;x\\u{7}\n€ ";
        for size in 1..=bytes.len() {
            let mut passed = PassedOn::default();
            let text: String = bytes.chunks(size).map(|chunk| passed.text(chunk)).collect();
            assert_eq!(text, expected, "{size}");
        }
        let mut passed = PassedOn::default();
        assert_eq!(passed.text(b"a\xff\xe2\x82"), "");
        assert_eq!(passed.text(b"\xac \xc3"), "a\u{fffd}€ ");
        assert_eq!(passed.text(b"b\n"), "\u{fffd}b\n");
    }

    #[test]
    fn secrets_are_hidden_however_they_arrive() {
        let bytes = b"unpacking 'https://me:sesame@h/f.tar.gz' into the cache...\nPassword: ";
        let expected = "unpacking 'https://***@h/f.tar.gz' into the cache...\nPassword: ";
        for size in 1..=bytes.len() {
            let mut passed = PassedOn::default();
            let text: String = bytes.chunks(size).map(|chunk| passed.text(chunk)).collect();
            assert_eq!(text, expected, "{size}");
        }
        let bytes = b"warning: ignoring access-tokens github.com=sesame gitlab.com=s2 now\n";
        for size in 1..=bytes.len() {
            let mut passed = PassedOn::default();
            let text: String = bytes.chunks(size).map(|chunk| passed.text(chunk)).collect();
            assert_eq!(text, "warning: ignoring access-tokens github.com=*** gitlab.com=*** now\n", "{size}");
        }
        // A word that never ends is not kept for ever.
        let mut passed = PassedOn::default();
        let text: String = (0..100).map(|_| passed.text(&[b'x'; 1000])).collect();
        assert!(text.len() > 90_000 && passed.word.len() <= WORD, "{}", text.len());
    }
}
