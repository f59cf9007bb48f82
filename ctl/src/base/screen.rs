//! Where answers and messages go: standard output and standard error, or buffers in tests.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::io::{ErrorKind, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::base::output::{answer_json, answer_text, printable};
use crate::base::secrets::without_secrets;

/// The width of a terminal that does not know it, such as a serial console.
const USUAL_WIDTH: usize = 80;

/// Returns the width of a terminal. As for systemctl, `COLUMNS` comes first.
fn width(columns: Option<&str>, known: Option<u16>) -> usize {
    let wanted = columns.and_then(|text| text.parse().ok()).filter(|width| *width > 0);
    wanted.or(known.map(usize::from).filter(|width| *width > 0)).unwrap_or(USUAL_WIDTH)
}

/// Returns whether a terminal of this type (`TERM`) knows no escape sequences, so that it cannot erase a line either.
pub(crate) fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_none_or(|term| term == "dumb")
}

/// The destinations of answers and messages.
pub(crate) struct Screen {
    answers: RefCell<Box<dyn Write>>,
    messages: RefCell<Box<dyn Write>>,
    /// Whether messages go to a terminal that can erase a line.
    terminal: bool,
    /// The width of the terminal that answers go to.
    width: Option<usize>,
    /// The status line on a terminal: the step that the command waits for.
    live: RefCell<Option<ProgressBar>>,
}

impl Screen {
    /// Returns standard output and standard error.
    pub(crate) fn terminal() -> Self {
        let screen = Self::new(Box::new(io::stdout()), Box::new(io::stderr()));
        Self {
            terminal: io::stderr().is_terminal() && !is_dumb(std::env::var_os("TERM").as_deref()),
            width: io::stdout().is_terminal().then(|| {
                let known = terminal_size::terminal_size_of(io::stdout());
                width(std::env::var("COLUMNS").ok().as_deref(), known.map(|(width, _)| width.0))
            }),
            ..screen
        }
    }

    /// Returns a screen that writes to these.
    pub(crate) fn new(answers: Box<dyn Write>, messages: Box<dyn Write>) -> Self {
        Self {
            answers: RefCell::new(answers),
            messages: RefCell::new(messages),
            terminal: false,
            width: None,
            live: RefCell::default(),
        }
    }

    /// Returns the width of the terminal that answers go to; `None` if they go elsewhere.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Shows the status line if messages go to a terminal. Returns whether they do.
    pub(crate) fn live(&self, text: &str) -> bool {
        if self.terminal {
            let mut live = self.live.borrow_mut();
            let line = live.get_or_insert_with(|| {
                let line = ProgressBar::new_spinner();
                // The spinner has a thread, and panics without one.
                if thread::Builder::new().spawn(|| {}).is_ok() {
                    line.enable_steady_tick(Duration::from_millis(100));
                }
                line
            });
            line.set_message(printable(text).into_owned());
        }
        self.terminal
    }

    /// Returns whether messages go to a terminal that can erase a line.
    pub(crate) fn erases(&self) -> bool {
        self.terminal
    }

    /// Erases the status line.
    pub(crate) fn end_live(&self) {
        if let Some(line) = self.live.take() {
            line.finish_and_clear();
        }
    }

    /// Erases the status line, writes, and shows the line again.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.live.borrow() {
            Some(line) => line.suspend(write),
            None => write(),
        }
    }

    /// Writes the text of an answer. A closed pipe (`| head`) is not an error.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        self.write(&answer_text(text))
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut out = self.answers.borrow_mut();
        match self.aside(|| out.write_all(text.as_bytes()).and_then(|()| out.flush())) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("standard output"),
        }
    }

    /// Writes a value as indented JSON.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<()> {
        self.write(&answer_json(&(serde_json::to_string_pretty(value)? + "\n")))
    }

    /// Prints a message without the secrets in it; errors are ignored.
    pub(crate) fn tell(&self, message: &str) {
        let message = without_secrets(message);
        self.aside(|| {
            let _ = writeln!(self.messages.borrow_mut(), "nixos-nspawn: {}", printable(&message));
        });
    }

    /// Prints indented lines below a message.
    pub(crate) fn tell_more(&self, lines: &[String]) {
        let mut out = self.messages.borrow_mut();
        self.aside(|| {
            for line in lines {
                let _ = writeln!(out, "  {}", printable(&without_secrets(line)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_of_terminals() {
        for (columns, known, expected) in [
            (None, Some(120), 120),
            (None, Some(0), 80),
            (None, None, 80),
            (Some("40"), Some(120), 40),
            (Some("100"), None, 100),
            (Some("0"), Some(120), 120),
            (Some(""), None, 80),
            (Some("-3"), None, 80),
            (Some("wide"), Some(60), 60),
        ] {
            assert_eq!(width(columns, known), expected, "{columns:?} {known:?}");
        }
    }
}
