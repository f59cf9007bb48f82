//! The context of a command: the host, and how answers are presented.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::ops::Deref;
use std::rc::Rc;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::host::Host;
use crate::base::screen::{Screen, is_dumb};

/// The context of a command.
pub(crate) struct Context {
    /// The host to work on.
    pub(crate) host: Host,
    /// The destination of answers and messages.
    pub(crate) screen: Rc<Screen>,
    /// Whether output is coloured.
    pub(crate) color: bool,
    /// Whether the answer is JSON.
    pub(crate) json: bool,
    /// Containers left by killed commands that could not be settled, with the exit codes of the reasons.
    pub(crate) unsettled: RefCell<BTreeMap<MachineName, u8>>,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal that shows colours, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Returns whether to colour output to standard output.
    pub(crate) fn wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let set = |name| std::env::var_os(name);
                std::io::stdout().is_terminal() && shows(set("NO_COLOR").as_deref(), set("TERM").as_deref())
            }
        }
    }
}

/// Returns whether a terminal shows colours, and they are wanted. An empty `NO_COLOR` does not count (no-color.org).
fn shows(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && !is_dumb(term)
}

impl Context {
    /// Writes the answer of a command to standard output: as JSON with `--json`, otherwise as text.
    pub(crate) fn answer<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        if self.json { self.screen.print_json(answer) } else { self.screen.print(&text(answer)) }
    }
}

impl Deref for Context {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_on_terminals() {
        for (no_color, term, expected) in [
            (None, Some("xterm"), true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (None, Some("dumb"), false),
            (None, None, false),
        ] {
            let shown = shows(no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(shown, expected, "{no_color:?} {term:?}");
        }
    }
}
