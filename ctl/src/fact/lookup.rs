//! Finds one container, and refuses what the command cannot be about.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DIRECTORY, Kind, LoadError, Loaded, Stored};

use crate::base::exit::{Failed, refuse, unchanged};
use crate::base::host::Host;
use crate::fact::generations::Generation;
use crate::fact::overview::Overview;

/// A container by name, as far as it can be read.
pub(crate) enum Found<'a> {
    /// A good intent.
    Good(&'a Stored),
    /// One that is refused.
    Broken(&'a LoadError),
}

impl Found<'_> {
    /// Who manages it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Good(stored) => stored.kind,
            Self::Broken(error) => error.kind,
        }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Good(stored) => &stored.path,
            Self::Broken(error) => &error.path,
        }
    }
}

/// The container called `name`, if there is an intent of any quality.
pub(crate) fn find<'a>(loaded: &'a Loaded, name: &MachineName) -> Option<Found<'a>> {
    let good = loaded.intents.iter().find(|stored| stored.name == *name).map(Found::Good);
    good.or_else(|| {
        let named = |error: &&LoadError| error.name.as_ref() == Some(name) && !error.shadowed;
        loaded.errors.iter().find(named).map(Found::Broken)
    })
}

/// The intent of an imperative container, to change it.
pub(crate) fn imperative<'a>(loaded: &'a Loaded, name: &MachineName) -> anyhow::Result<&'a Intent> {
    match find(loaded, name) {
        None => Err(missing(loaded, name)),
        Some(found) if found.kind() == Kind::Declarative => refuse(declarative(name)),
        Some(Found::Broken(error)) => unchanged(format!("{error}"), "correct the file first"),
        Some(Found::Good(stored)) => Ok(&stored.intent),
    }
}

/// Refuses where the directory of intents cannot be used: what is not seen in it may well be recorded.
pub(crate) fn need_directory(loaded: &Loaded) -> anyhow::Result<()> {
    match loaded.errors.iter().find(|error| error.path == DIRECTORY) {
        Some(fault) => unchanged(
            format!("{fault}"),
            format!("it must be a directory of root's with mode 0755, 'ls -ld {DIRECTORY}' shows what it is"),
        ),
        None => Ok(()),
    }
}

/// There is no such container, or nobody can tell.
pub(crate) fn missing(loaded: &Loaded, name: &MachineName) -> anyhow::Error {
    need_directory(loaded).err().unwrap_or_else(|| no_such(name))
}

/// There is no such container.
fn no_such(name: &MachineName) -> anyhow::Error {
    Failed::Usage(format!("there is no container '{name}' in {DIRECTORY}; 'nixos-nspawn list' shows all"))
        .into()
}

/// It belongs to the host's configuration.
pub(crate) fn declarative(name: &MachineName) -> String {
    format!(
        "container '{name}' is declarative, nothing was changed; change it in the host's NixOS configuration"
    )
}

/// A name from the command line.
pub(crate) fn machine_name(text: &str) -> anyhow::Result<MachineName> {
    Ok(text.parse::<MachineName>().map_err(|error| Failed::Usage(error.to_string()))?)
}

/// The intent of a container that may have generations, for commands that only look.
pub(crate) fn readable(host: &Host, name: &MachineName) -> Result<Intent> {
    let loaded = host.load();
    match find(&loaded, name) {
        None => Err(missing(&loaded, name)),
        Some(found) if found.kind() == Kind::Declarative => refuse(format!(
            "{}: container '{name}' is declarative, so it has no generations of its own; those of the host have it",
            found.path()
        )),
        Some(Found::Broken(error)) => {
            refuse(format!("{error}, so its generations cannot be told; correct the file first"))
        }
        Some(Found::Good(stored)) => Ok(stored.intent.clone()),
    }
}

/// The generation of this number.
pub(crate) fn numbered<'a>(all: &'a [Generation], name: &MachineName, number: u64) -> Result<&'a Generation> {
    all.iter().find(|one| one.number == number).ok_or_else(|| {
        let message = format!(
            "container '{name}' has no generation {number}; 'nixos-nspawn list-generations {name}' shows all"
        );
        Failed::Usage(message).into()
    })
}

/// There is no such container, and perhaps why.
pub(crate) fn unknown(host: &Host, overview: &Overview, name: &MachineName) -> anyhow::Error {
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
    // It may be in the folder that cannot be read.
    match overview.faults.iter().find(|fault| fault.hides) {
        Some(fault) => anyhow::anyhow!("{}", fault.text),
        None => no_such(name),
    }
}
