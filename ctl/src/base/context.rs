//! What a command works with: the host, and how people want their answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::ops::Deref;
use std::rc::Rc;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::host::Host;
use crate::base::screen::Screen;

/// The setting of a command.
pub(crate) struct Context {
    /// The host that is worked on.
    pub(crate) host: Host,
    /// Where answers and messages go.
    pub(crate) screen: Rc<Screen>,
    /// Whether output is coloured.
    pub(crate) color: bool,
    /// Whether the answer is JSON.
    pub(crate) json: bool,
    /// What killed commands left and could not be settled, with the exit codes of the reasons.
    pub(crate) unsettled: RefCell<BTreeMap<MachineName, u8>>,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether it means colour here.
    pub(crate) fn wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal(),
        }
    }
}

impl Context {
    /// Writes the answer of a command to standard output: as JSON if that is asked for, else as the text made of it.
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
