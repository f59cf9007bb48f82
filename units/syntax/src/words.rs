//! Splits a setting's value into words and undoes quotes and escapes, as `src/basic/extract-word.c` does. Which of them
//! have a meaning depends on the setting, so there is one function per kind of place. Specifiers (`%i`) and variables
//! (`$HOME`) are left alone, see [`super::escape`].

mod c_escape;

use thiserror::Error;

use c_escape::c_escape;
pub(super) use c_escape::is_noncharacter;

/// What separates words and is stripped around keys and values (`WHITESPACE`).
pub(super) const BLANKS: &[u8] = b" \t\n\r";

/// Why a value cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WordError {
    /// A quote was opened and never closed.
    #[error("{value:?}: a quote is not closed")]
    UnbalancedQuote {
        /// The whole value.
        value: String,
    },
    /// A backslash with nothing behind it.
    #[error("{value:?}: ends in a backslash that escapes nothing")]
    TrailingBackslash {
        /// The whole value.
        value: String,
    },
    /// A backslash sequence that systemd does not know, or one that stands for NUL.
    #[error("{value:?}: unknown escape sequence \\{sequence}")]
    UnknownEscape {
        /// The whole value.
        value: String,
        /// The character behind the backslash.
        sequence: char,
    },
    /// A bare `;`, neither quoted nor escaped, which begins another command.
    #[error("{value:?}: a bare ';' begins another command")]
    SecondCommand {
        /// The whole value.
        value: String,
    },
    /// `\xHH` or `\NNN` escapes that do not add up to UTF-8.
    #[error("{value:?}: a word is not UTF-8 once its escapes are undone")]
    NotUtf8 {
        /// The whole value.
        value: String,
    },
}

/// What a backslash means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backslash {
    /// An ordinary character (`EXTRACT_RETAIN_ESCAPE`).
    Literal,
    /// Dropped; the next character is taken literally (no flag).
    Dropped,
    /// The beginning of a C escape (`EXTRACT_CUNESCAPE`).
    CEscape,
}

/// One combination of `ExtractFlags`.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// The bytes between words.
    separators: &'static [u8],
    /// Two separators in a row enclose an empty word (`EXTRACT_DONT_COALESCE_SEPARATORS`).
    empty_words: bool,
    /// Quotes group and are removed (`EXTRACT_UNQUOTE`).
    unquote: bool,
    backslash: Backslash,
}

const WORDS: Rules =
    Rules { separators: BLANKS, empty_words: false, unquote: true, backslash: Backslash::Literal };
const FIELDS: Rules =
    Rules { separators: b":", empty_words: true, unquote: false, backslash: Backslash::Dropped };

const UNIT_WORDS: Rules = Rules { backslash: Backslash::CEscape, ..WORDS };

/// Splits `Environment=` of a unit: quotes group, C escapes are undone (`systemd.syntax(7)`).
pub fn unit_words(value: &str) -> Result<Vec<String>, WordError> {
    all(value, UNIT_WORDS)
}

/// Splits `Exec*=` of a unit, like [`unit_words`]; but a bare `;` begins another command, which is an error here, and
/// `\;` is the argument `;` (`systemd.service(5)`, "Command lines"). Escapes that systemd does not know are errors too,
/// where it warns and keeps them.
pub fn command_words(value: &str) -> Result<Vec<String>, WordError> {
    let mut splitter = Splitter::new(value, UNIT_WORDS);
    let mut words = Vec::new();
    loop {
        let at = splitter.skip_separators(splitter.at.unwrap_or(value.len()));
        let alone = |at| splitter.peek(at).is_none_or(|byte| splitter.is_separator(byte));
        let rest = value.get(at..).unwrap_or_default();
        if rest.starts_with(';') && alone(at + 1) {
            return Err(WordError::SecondCommand { value: value.to_owned() });
        } else if rest.starts_with("\\;") && alone(at + 2) {
            splitter.at = Some(at + 2);
            words.push(";".to_owned());
        } else if let Some(word) = splitter.next_word()? {
            words.push(word);
        } else {
            return Ok(words);
        }
    }
}

/// Splits `Parameters=` and `Environment=` of a `.nspawn` file: quotes group, a backslash is an ordinary character.
pub fn nspawn_words(value: &str) -> Result<Vec<String>, WordError> {
    all(value, WORDS)
}

/// Splits `RequiresMountsFor=`: quotes group, a backslash makes the next character literal.
pub fn path_words(value: &str) -> Result<Vec<String>, WordError> {
    all(value, Rules { backslash: Backslash::Dropped, ..WORDS })
}

/// Splits unit lists (`After=`, `Wants=`): separated by blanks, nothing else is special.
pub fn unit_names(value: &str) -> Result<Vec<String>, WordError> {
    all(value, Rules { unquote: false, ..WORDS })
}

/// Splits the plain lists of a `.nspawn` file (`Capability=`, `SystemCallFilter=`, `Interface=`, `BindUser=`): no
/// quotes, a backslash makes the next character literal.
pub fn plain_words(value: &str) -> Result<Vec<String>, WordError> {
    all(value, Rules { unquote: false, backslash: Backslash::Dropped, ..WORDS })
}

/// Splits at each `:`, as in `Overlay=`; two colons in a row enclose an empty field.
pub fn fields(value: &str) -> Result<Vec<String>, WordError> {
    all(value, FIELDS)
}

/// The fields of `Bind=` and `BindReadOnly=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindFields {
    /// Path on the host; empty stands for a temporary directory.
    pub source: String,
    /// Path in the container; `None` stands for the source's (without its leading `+`).
    pub destination: Option<String>,
    /// The rest of the value as written, not unescaped.
    pub options: Option<String>,
}

/// Splits the value of `Bind=` (`systemd.nspawn(5)`). Only the first two fields are unescaped.
pub fn bind_fields(value: &str) -> Result<BindFields, WordError> {
    let mut splitter = Splitter::new(value, FIELDS);
    let source = splitter.next_word()?.unwrap_or_default();
    let destination = splitter.next_word()?;
    let options = splitter.rest().filter(|rest| !rest.is_empty()).map(str::to_owned);
    Ok(BindFields { source, destination, options })
}

/// Splits off the first `:`-field, unescaped, and returns the raw remainder after its colon, as systemd reads
/// `LoadCredential=` and `TemporaryFileSystem=`.
pub fn first_field(value: &str) -> Result<(String, Option<&str>), WordError> {
    let mut splitter = Splitter::new(value, FIELDS);
    let first = splitter.next_word()?.unwrap_or_default();
    Ok((first, splitter.rest()))
}

/// Splits `CPUAffinity=`: separated by blanks and commas, quotes group, a backslash makes the next character literal.
pub fn list_words(value: &str) -> Result<Vec<String>, WordError> {
    all(value, Rules { separators: b" \t\n\r,", unquote: true, empty_words: false, ..FIELDS })
}

/// Splits a range of numbers at its first `-`, like [`first_field`].
pub fn range_ends(value: &str) -> Result<(String, Option<&str>), WordError> {
    let mut splitter = Splitter::new(value, Rules { separators: b"-", ..FIELDS });
    let first = splitter.next_word()?.unwrap_or_default();
    Ok((first, splitter.rest()))
}

fn all(value: &str, rules: Rules) -> Result<Vec<String>, WordError> {
    let mut splitter = Splitter::new(value, rules);
    let mut words = Vec::new();
    while let Some(word) = splitter.next_word()? {
        words.push(word);
    }
    Ok(words)
}

struct Splitter<'a> {
    value: &'a str,
    /// Where the next word starts; `None` after the end.
    at: Option<usize>,
    rules: Rules,
}

impl<'a> Splitter<'a> {
    fn new(value: &'a str, rules: Rules) -> Self {
        Splitter { value, at: Some(0), rules }
    }

    /// Returns what is left, unless the last word ended with the value.
    fn rest(&self) -> Option<&'a str> {
        self.at.and_then(|at| self.value.get(at..))
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.value.as_bytes().get(at).copied()
    }

    fn is_separator(&self, byte: u8) -> bool {
        self.rules.separators.contains(&byte)
    }

    fn skip_separators(&self, mut at: usize) -> usize {
        while self.peek(at).is_some_and(|byte| self.is_separator(byte)) {
            at += 1;
        }
        at
    }

    fn next_word(&mut self) -> Result<Option<String>, WordError> {
        let Some(mut at) = self.at else { return Ok(None) };
        if !self.rules.empty_words {
            at = self.skip_separators(at);
            if at >= self.value.len() {
                self.at = None;
                return Ok(None);
            }
        }
        let mut word = Vec::with_capacity(self.value.len() - at);
        let mut quote = None;
        let next = loop {
            let Some(byte) = self.peek(at) else { break None };
            at += 1;
            match byte {
                b'\\' if self.rules.backslash != Backslash::Literal => at = self.escape(at, &mut word)?,
                _ if quote == Some(byte) => quote = None,
                _ if quote.is_some() => word.push(byte),
                b'"' | b'\'' if self.rules.unquote => quote = Some(byte),
                _ if self.is_separator(byte) => {
                    break if self.rules.empty_words {
                        Some(at)
                    } else {
                        Some(self.skip_separators(at)).filter(|at| *at < self.value.len())
                    };
                }
                _ => word.push(byte),
            }
        };
        if quote.is_some() {
            return Err(WordError::UnbalancedQuote { value: self.value.to_owned() });
        }
        self.at = next;
        String::from_utf8(word).map(Some).map_err(|_| WordError::NotUtf8 { value: self.value.to_owned() })
    }

    /// Undoes the escape whose first character after the backslash is at `at`; returns where it ends.
    fn escape(&self, at: usize, word: &mut Vec<u8>) -> Result<usize, WordError> {
        let rest = self.value.get(at..).unwrap_or_default();
        let Some(sequence) = rest.chars().next() else {
            return Err(WordError::TrailingBackslash { value: self.value.to_owned() });
        };
        if self.rules.backslash == Backslash::Dropped {
            word.extend(sequence.encode_utf8(&mut [0; 4]).bytes());
            return Ok(at + sequence.len_utf8());
        }
        let length = c_escape(rest, word)
            .ok_or_else(|| WordError::UnknownEscape { value: self.value.to_owned(), sequence })?;
        Ok(at + length)
    }
}

#[cfg(test)]
mod tests;
