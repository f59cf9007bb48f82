//! The settings that containers were last known to run with, kept in /run until the next boot. They serve to find out
//! what differs from the recorded intent; nothing else depends on them.

use std::fs;
use std::path::PathBuf;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use serde::{Deserialize, Serialize};

use crate::base::event::Event;
use crate::base::host::Host;
use crate::host::files::write_file_for_now;
use crate::host::{intent_file, last_activation};

/// The extension of these files.
const ENDING: &str = ".known";

/// What a container was last known to run with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KnownSettings {
    /// The mark of the settings that it was started with.
    pub(crate) plan: String,
    /// The text of its intent.
    pub(crate) intent: String,
}

fn path(host: &Host, name: &MachineName) -> PathBuf {
    host.runtime().join(format!("{name}{ENDING}"))
}

/// Reads the known settings of a container.
pub(crate) fn read(host: &Host, name: &MachineName) -> Option<KnownSettings> {
    serde_json::from_slice(&fs::read(path(host, name)).ok()?).ok()
}

/// Saves what a container runs with; who can read its intent can read that. On failure the next activation knows less, and
/// may restart where a reload would do.
pub(crate) fn remember(host: &Host, name: &MachineName, plan: &str, intent: &Intent) {
    let path = path(host, name);
    let folder = host.runtime();
    let written = fs::create_dir_all(&folder).map_err(anyhow::Error::from).and_then(|()| {
        let known = KnownSettings { plan: plan.to_owned(), intent: intent.to_json()? };
        let text = serde_json::to_string(&known)?;
        Ok(write_file_for_now(&path, text.as_bytes(), intent_file::mode(intent))?)
    });
    if let Err(error) = written {
        host.report(Event::NotRemembered { path, error: format!("{error:#}") });
    }
}

/// Forgets containers that are no longer recorded.
pub(crate) fn sweep(host: &Host, recorded: impl Fn(&MachineName) -> bool) {
    let Ok(entries) = fs::read_dir(host.runtime()) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| {
            let stem = file.strip_suffix(ENDING).or_else(|| file.strip_suffix(last_activation::ENDING))?;
            stem.parse::<MachineName>().ok()
        });
        if name.is_some_and(|name| !recorded(&name)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
