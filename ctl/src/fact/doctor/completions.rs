//! Installed completion scripts.

use std::fs;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::host::files::absent;

/// A completion script of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// The shell.
    pub(crate) shell: &'static str,
    /// Where it is installed below a prefix.
    pub(crate) file: &'static str,
    /// What this program prints for it.
    pub(crate) text: String,
}

/// Where scripts may be installed.
const PREFIXES: [&str; 3] = ["/usr/local", "/usr", "/run/current-system/sw"];

/// An installed script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstalledScript {
    /// The shell.
    pub(crate) shell: &'static str,
    /// Its path.
    pub(crate) path: String,
    /// Whether this program would print the same.
    pub(crate) same: Seen<bool>,
}

/// Returns the scripts that are installed.
pub(crate) fn installed(host: &Host, scripts: &[Script]) -> Vec<InstalledScript> {
    let mut found = Vec::new();
    for Script { shell, file, text } in scripts {
        for path in PREFIXES.iter().map(|prefix| format!("{prefix}/share/{file}")) {
            // A configuration or package manager makes links.
            let below = host.directory(&path);
            let same = match fs::read(&below) {
                Ok(bytes) => Ok(bytes == text.as_bytes()),
                Err(error) if absent(&error) => continue,
                Err(error) => Err(Unseen::path(&below, &error)),
            };
            found.push(InstalledScript { shell, path, same });
        }
    }
    found
}
