//! Finds one container, and refuses those that a command cannot work on.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DIRECTORY, Kind, LoadError, Loaded, Stored};

use crate::base::exit::{Failed, refuse, unchanged};
use crate::base::host::Host;
use crate::fact::generations::Generation;
use crate::fact::overview::{Container, Overview};

/// A container found by name.
pub(crate) enum Found<'a> {
    /// A valid intent.
    Good(&'a Stored),
    /// An intent that is refused.
    Broken(&'a LoadError),
}

impl Found<'_> {
    /// Returns who manages it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Good(stored) => stored.kind,
            Self::Broken(error) => error.kind,
        }
    }

    /// Returns the path of its intent.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Good(stored) => &stored.path,
            Self::Broken(error) => &error.path,
        }
    }
}

/// Finds the container `name`, whether its intent is valid or not.
pub(crate) fn find<'a>(loaded: &'a Loaded, name: &MachineName) -> Option<Found<'a>> {
    // They are sorted.
    let good = loaded.intents.binary_search_by(|stored| stored.name.cmp(name)).ok();
    good.map(|at| Found::Good(&loaded.intents[at])).or_else(|| {
        let named = |error: &&LoadError| error.name.as_ref() == Some(name) && !error.shadowed;
        loaded.errors.iter().find(named).map(Found::Broken)
    })
}

/// Fails if a directory of intents cannot be read, since a container that was not found may be there.
pub(crate) fn all_seen(loaded: &Loaded) -> anyhow::Result<()> {
    match loaded.errors.iter().find(|error| error.hides_containers()) {
        Some(error) => unchanged(error.to_string(), "correct that first"),
        None => Ok(()),
    }
}

/// Returns the intent of an imperative container that is to be changed.
pub(crate) fn imperative<'a>(loaded: &'a Loaded, name: &MachineName) -> anyhow::Result<&'a Intent> {
    match find(loaded, name) {
        None => {
            all_seen(loaded)?;
            Err(no_such(name))
        }
        Some(found) if found.kind() == Kind::Declarative => refuse(declarative(name)),
        Some(Found::Broken(error)) => unchanged(format!("{error}"), "correct the file first"),
        Some(Found::Good(stored)) => Ok(&stored.intent),
    }
}

/// Returns the error for a container that does not exist.
pub(crate) fn no_such(name: &MachineName) -> anyhow::Error {
    Failed::Usage(format!("there is no container '{name}' in {DIRECTORY}; 'nixos-nspawn list' shows all"))
        .into()
}

/// Returns the message for a container that belongs to the host's configuration.
pub(crate) fn declarative(name: &MachineName) -> String {
    format!(
        "container '{name}' is declarative, nothing was changed; change it in the host's NixOS configuration"
    )
}

/// Parses a container name of the command line.
pub(crate) fn machine_name(text: &str) -> anyhow::Result<MachineName> {
    Ok(text.parse::<MachineName>().map_err(|error| Failed::Usage(error.to_string()))?)
}

/// Returns the intent of a container that may have generations, for commands that only read.
pub(crate) fn readable(host: &Host, name: &MachineName) -> Result<Intent> {
    let loaded = host.load_one(name);
    match find(&loaded, name) {
        None => {
            all_seen(&loaded)?;
            Err(no_such(name))
        }
        Some(found) if found.kind() == Kind::Declarative => refuse(format!(
            "{}: container '{name}' is declarative, so it has no generations of its own; it is part of the host's generations",
            found.path()
        )),
        Some(Found::Broken(error)) => {
            refuse(format!("{error}, so its generations are unknown; correct the file first"))
        }
        Some(Found::Good(stored)) => Ok(Intent::clone(&stored.intent)),
    }
}

/// Returns the generation of this number.
pub(crate) fn numbered<'a>(all: &'a [Generation], name: &MachineName, number: u64) -> Result<&'a Generation> {
    all.iter().find(|one| one.number == number).ok_or_else(|| {
        let message = format!(
            "container '{name}' has no generation {number}; 'nixos-nspawn list-generations {name}' shows all"
        );
        Failed::Usage(message).into()
    })
}

/// Returns a container of the overview.
pub(crate) fn in_overview<'a>(
    host: &Host,
    overview: &'a Overview,
    name: &MachineName,
) -> Result<&'a Container> {
    overview.containers.get(name).ok_or_else(|| unknown(host, overview, name))
}

/// Returns the error for a container that does not exist, with the reason if it is known.
fn unknown(host: &Host, overview: &Overview, name: &MachineName) -> anyhow::Error {
    let foreign = host
        .scope
        .nspawn_files
        .map(|folder| format!("{folder}/{name}.nspawn"))
        .into_iter()
        .find(|path| fs::symlink_metadata(host.path(path)).is_ok());
    if let Some(path) = foreign {
        let message = format!(
            "there is no container '{name}' in {DIRECTORY}; {path} is not managed by nixos-nspawn ('machinectl cat \
             {name}' shows it)"
        );
        return Failed::Usage(message).into();
    }
    // It may be in the directory that cannot be read.
    match overview.faults.iter().find(|fault| fault.hides) {
        Some(fault) => anyhow::anyhow!("{}", fault.text),
        None => no_such(name),
    }
}
