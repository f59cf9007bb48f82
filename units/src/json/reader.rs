//! Reads the tokens of a JSON text; the position only moves forward.

use std::borrow::Cow;

use serde::Deserialize;

use super::error::{Error, Kind, PassedOver, Step};

/// The maximum nesting of lists and objects, as in serde_json.
pub(super) const MAX_DEPTH: usize = 127;

/// The maximum number of list elements and object fields in one text. It bounds the memory that a text of the maximum
/// size takes; ten thousand forwarded ports, written as objects, stay well below it.
pub(super) const MAX_COUNT: usize = 65_536;

/// The maximum number of elements or fields of one list or object.
pub(super) const MAX_ELEMENTS: usize = 16_384;

/// A text, and the position up to which it has been read.
pub(super) struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: usize,
    /// How many elements and fields were read.
    count: usize,
    /// The path of the current value.
    pub(super) path: Vec<Step<'de>>,
    /// The names of the fields read so far, for each object around the current value.
    pub(super) names: Vec<Cow<'de, str>>,
    /// A field of the outermost object to skip.
    pub(super) except: Option<&'static str>,
    /// The unknown fields of structs, if they are skipped.
    pub(super) passed_over: Option<Vec<PassedOver>>,
}

impl<'de> Reader<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            count: 0,
            path: Vec::with_capacity(8),
            names: Vec::with_capacity(32),
            except: None,
            passed_over: None,
        }
    }

    /// Reads one value and the end of the text.
    pub(super) fn whole<T: Deserialize<'de>>(&mut self) -> Result<T, Error> {
        self.blanks();
        let start = self.at;
        let value = T::deserialize(&mut *self).map_err(|error| error.or_at(start, &[]))?;
        self.blanks();
        if self.at < self.text.len() { Err(self.syntax("trailing characters")) } else { Ok(value) }
    }

    /// Returns the current offset.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Returns a syntax error at the current offset.
    pub(super) fn syntax(&self, what: &'static str) -> Error {
        Error::new(Kind::Syntax(what)).or_at(self.at, &[])
    }

    /// Returns an error of the value that begins at `start`.
    pub(super) fn wrong(&self, start: usize, kind: Kind) -> Error {
        Error::new(kind).or_at(start, &self.path)
    }

    /// Returns what was read since `start`.
    pub(super) fn since(&self, start: usize) -> &'de str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Skips the next byte.
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Skips bytes while they are wanted.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        while bytes.get(at).is_some_and(|byte| wanted(*byte)) {
            at += 1;
        }
        self.at = at;
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn blanks(&mut self) {
        const BLANKS: u64 = 1 << b' ' | 1 << b'\n' | 1 << b'\t' | 1 << b'\r';
        self.take_while(|byte| byte <= b' ' && BLANKS >> byte & 1 == 1);
    }

    /// Takes the byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes a word such as `null`.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Error> {
        for byte in word.bytes() {
            if !self.take(byte) {
                let end = self.peek().is_none();
                return Err(self.syntax(if end {
                    "EOF while parsing a value"
                } else {
                    "expected null, true or false"
                }));
            }
        }
        Ok(())
    }

    /// Enters a list or an object, whose bracket is next.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.syntax("recursion limit exceeded"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Moves to the next element of what `open` entered and returns whether there is one; takes the bracket if not.
    pub(super) fn next(&mut self, first: bool, close: u8) -> Result<bool, Error> {
        self.blanks();
        if self.take(close) {
            self.depth -= 1;
            return Ok(false);
        }
        let object = close == b'}';
        let end = if object { "EOF while parsing an object" } else { "EOF while parsing a list" };
        if !first {
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(_) if object => return Err(self.syntax("expected ',' or '}'")),
                Some(_) => return Err(self.syntax("expected ',' or ']'")),
                None => return Err(self.syntax(end)),
            }
            self.blanks();
            if self.peek() == Some(close) {
                return Err(self.syntax("trailing comma"));
            }
        }
        if self.peek().is_none() {
            return Err(self.syntax(end));
        }
        self.count += 1;
        if self.count > MAX_COUNT { Err(self.too_many()) } else { Ok(true) }
    }

    fn too_many(&self) -> Error {
        let reason = format!("holds more than {MAX_COUNT} values");
        Error::new(Kind::Refused(reason)).or_at(self.at, &[])
    }

    /// Fails if a list or object with `count` elements has too many.
    pub(super) fn few(&self, count: usize) -> Result<(), Error> {
        if count <= MAX_ELEMENTS {
            return Ok(());
        }
        Err(self.wrong(self.at, Kind::Refused(format!("holds more than {MAX_ELEMENTS} values"))))
    }

    /// Reads a field's name and the colon.
    pub(super) fn name(&mut self) -> Result<Cow<'de, str>, Error> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("key must be a string"));
        }
        let name = self.string()?;
        self.blanks();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.syntax("expected ':'")),
            None => return Err(self.syntax("EOF while parsing an object")),
        }
        self.blanks();
        Ok(name)
    }

    /// Skips a value.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        self.blanks();
        match self.peek() {
            Some(b'{') => {
                self.open()?;
                let mut first = true;
                while self.next(first, b'}')? {
                    first = false;
                    self.name()?;
                    self.skip()?;
                }
                Ok(())
            }
            Some(b'[') => {
                self.open()?;
                let mut first = true;
                while self.next(first, b']')? {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(_) => Err(self.syntax("expected value")),
            None => Err(self.syntax("EOF while parsing a value")),
        }
    }

    /// Moves to the value of a field of the object that is next.
    pub(super) fn enter(&mut self, field: &str) -> Option<()> {
        self.blanks();
        if self.peek() != Some(b'{') {
            return None;
        }
        self.open().ok()?;
        let mut first = true;
        while self.next(first, b'}').ok()? {
            first = false;
            if self.name().ok()? == field {
                return Some(());
            }
            self.skip().ok()?;
        }
        None
    }
}
