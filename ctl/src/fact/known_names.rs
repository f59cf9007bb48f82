//! The names of containers, from the names of files only.

use std::collections::BTreeMap;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DECLARATIVE_DIRECTORY, Kind};

use crate::base::host::Host;
use crate::host::files::names_in;

/// Returns the names of all containers, sorted, and who manages them. A directory that cannot be read has none.
pub(crate) fn known_names(host: &Host) -> Vec<(MachineName, Kind)> {
    let directories =
        [(host.intents(), Kind::Imperative), (host.directory(DECLARATIVE_DIRECTORY), Kind::Declarative)];
    let mut all: BTreeMap<MachineName, Kind> = BTreeMap::new();
    for (directory, kind) in directories {
        for file in names_in(&directory).unwrap_or_default() {
            // Beside the intents there is the generator's file about the host.
            let is_host = kind == Kind::Imperative && file == "host.json";
            let Some(name) = file.strip_suffix(".json").filter(|_| !is_host) else { continue };
            let Ok(name) = name.parse::<MachineName>() else { continue };
            all.entry(name).or_insert(kind);
        }
    }
    all.into_iter().collect()
}
