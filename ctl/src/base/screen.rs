//! Where answers and messages go: standard output and standard error, or buffers in tests.

use std::cell::RefCell;
use std::io;
use std::io::{ErrorKind, Write};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::base::output::{answer_json, answer_text, printable};

/// The destinations of answers and messages.
pub(crate) struct Screen {
    answers: RefCell<Box<dyn Write>>,
    messages: RefCell<Box<dyn Write>>,
}

impl Screen {
    /// Returns standard output and standard error.
    pub(crate) fn terminal() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Returns a screen that writes to these.
    pub(crate) fn new(answers: Box<dyn Write>, messages: Box<dyn Write>) -> Self {
        Self { answers: RefCell::new(answers), messages: RefCell::new(messages) }
    }

    /// Writes the text of an answer. A closed pipe (`| head`) is not an error.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        self.write(&answer_text(text))
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut out = self.answers.borrow_mut();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("standard output"),
        }
    }

    /// Writes a value as indented JSON.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<()> {
        self.write(&answer_json(&(serde_json::to_string_pretty(value)? + "\n")))
    }

    /// Prints a message; errors are ignored.
    pub(crate) fn tell(&self, message: &str) {
        let _ = writeln!(self.messages.borrow_mut(), "nixos-nspawn: {}", printable(message));
    }

    /// Prints indented lines below a message.
    pub(crate) fn tell_more(&self, lines: &[String]) {
        let mut out = self.messages.borrow_mut();
        for line in lines {
            let _ = writeln!(out, "  {}", printable(line));
        }
    }
}
