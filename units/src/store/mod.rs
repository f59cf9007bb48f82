//! Reads /etc/nixos-nspawn: all good intents *and* all faults. No file outside of that directory is read, except for links
//! of declarative.d and host.json into /nix/store. Where a directory is refused because it is a link, the names behind it are
//! listed, so that each container is refused visibly. Nothing blocks: only regular files of bounded size are read. They
//! decide what of the host a container may see, so they must be root's.

mod reader;

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::deadline::{InTime, unlimited};
use crate::intent::{Fault, Intent, MAX_SIZE, typed};
use crate::invalid::{Invalid, shown};
use crate::name::MachineName;

use reader::{Reader, Unreadable, intent_names};

/// Where intents are recorded.
pub const DIRECTORY: &str = "/etc/nixos-nspawn";

/// Where the host's NixOS configuration records intents.
pub const DECLARATIVE_DIRECTORY: &str = "/etc/nixos-nspawn/declarative.d";

/// What the generator must know about the host, written by ctl or the NixOS module.
pub const HOST_FILE: &str = "/etc/nixos-nspawn/host.json";

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The usable intents, ordered by name, each name once.
    pub intents: Vec<Stored>,
    /// The files and directories that cannot be used.
    pub errors: Vec<LoadError>,
    /// The host.
    pub host: Host,
}

/// An intent and the file it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The name of the container.
    pub name: MachineName,
    /// Who manages it.
    pub kind: Kind,
    /// The file, as a path of the system (without the `--root` it was read below).
    pub path: String,
    /// What it says.
    pub intent: Intent,
}

/// Who manages a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `nixos-nspawn-ctl`, or an administrator by hand.
    Imperative,
    /// The host's NixOS configuration.
    Declarative,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Imperative => "imperative",
            Self::Declarative => "declarative",
        })
    }
}

/// A file or directory that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// Its path on the system.
    pub path: String,
    /// The container it would be, if its file name is a machine name.
    pub name: Option<MachineName>,
    /// Who would manage it.
    pub kind: Kind,
    /// What is wrong.
    pub fault: Fault,
    /// Whether it asks for the start with the host, or cannot be read at all.
    pub autostart: bool,
    /// Whether another file of the same name is used instead.
    pub shadowed: bool,
}

impl LoadError {
    /// Returns an error of a file or directory of which nothing else is known.
    fn new(path: impl Into<String>, kind: Kind, fault: Fault) -> Self {
        Self { path: path.into(), name: None, kind, fault, autostart: false, shadowed: false }
    }

    /// Returns the same error for the file of a container.
    fn of(self, name: Option<MachineName>, autostart: bool) -> Self {
        Self { name, autostart, ..self }
    }
}

/// Shows `path:line: field 'x': reason`.
impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&shown(&self.path))?;
        if let Some(line) = self.fault.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", self.fault)
    }
}

/// What must be known about the host, from host.json.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// The version of the format, 1.
    pub version: crate::intent::Version,
    /// The version of the host's systemd; the oldest supported one if nothing is recorded.
    pub systemd: u32,
    /// How many containers may be starting at the same time at boot; no limit if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_limit: Option<BootLimit>,
}

impl Default for Host {
    fn default() -> Self {
        Self { version: crate::intent::Version, systemd: crate::version::OLDEST, boot_limit: None }
    }
}

/// How many containers may be starting at the same time, from 1 to 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct BootLimit(u32);

impl BootLimit {
    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for BootLimit {
    type Error = Invalid;
    fn try_from(number: i64) -> Result<Self, Invalid> {
        match u32::try_from(number) {
            Ok(limit @ 1..=10_000) => Ok(Self(limit)),
            _ => Err(Invalid::new(&number.to_string(), "is not a number of containers (1 to 10000)")),
        }
    }
}

impl FromStr for BootLimit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid::new(text, "is not a number of containers (1 to 10000)");
        text.parse::<i64>().map_err(|_| bad()).and_then(|number| Self::try_from(number).map_err(|_| bad()))
    }
}

impl From<BootLimit> for u32 {
    fn from(limit: BootLimit) -> u32 {
        limit.0
    }
}

/// Whose files are trusted: root's, and below another root also those of the caller, who made that tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust {
    /// A further owner.
    pub also: Option<u32>,
}

impl Trust {
    fn owner(self, uid: u32) -> bool {
        uid == 0 || self.also == Some(uid)
    }
}

/// Loads everything below `root`, which is `/` on a running system.
///
/// ```
/// use nixos_nspawn_units::store::{Trust, load};
///
/// let root = tempfile::tempdir()?;
/// let loaded = load(root.path(), Trust::default());
/// assert!(loaded.intents.is_empty() && loaded.errors.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn load(root: &Path, trust: Trust) -> Loaded {
    load_in_time(root, trust, &unlimited)
}

/// Does the same as long as there is time. Files that were not read are refused like files that cannot be read.
pub fn load_in_time(root: &Path, trust: Trust, in_time: InTime) -> Loaded {
    let mut loaded = Loaded::default();
    let reader = Reader { root, trust, in_time };
    let directory = match reader.directory(DIRECTORY) {
        Ok(Some(directory)) => directory,
        Ok(None) => return loaded,
        // The names in it stay visible even if their contents cannot be trusted.
        Err((fault, directory)) => {
            refuse_all(&mut loaded, DIRECTORY, Kind::Imperative, fault, directory);
            return loaded;
        }
    };
    match reader.file(directory.as_fd(), "host.json", HOST_FILE, MAX_SIZE).map(|bytes| typed(&bytes)) {
        Ok(Ok(host)) => loaded.host = host,
        Ok(Err(fault)) | Err(Unreadable::Fault(fault)) => loaded.errors.push(host_fault(fault)),
        Err(Unreadable::Missing | Unreadable::Large) => {}
    }
    let mut intents = reader.intents(directory, DIRECTORY, Kind::Imperative, &mut loaded.errors);
    match reader.declarative_directory() {
        Ok(Some(directory)) => {
            let declarative =
                reader.intents(directory, DECLARATIVE_DIRECTORY, Kind::Declarative, &mut loaded.errors);
            settle_names(&mut intents, declarative, &mut loaded.errors);
        }
        Ok(None) => {}
        Err((fault, directory)) => {
            refuse_all(&mut loaded, DECLARATIVE_DIRECTORY, Kind::Declarative, fault, directory);
            settle_names(&mut intents, Vec::new(), &mut loaded.errors);
        }
    }
    intents.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    loaded.intents = intents;
    loaded
}

/// Resolves names that occur twice: the declarative container wins, and the other stays visible as a fault.
fn settle_names(intents: &mut Vec<Stored>, declarative: Vec<Stored>, errors: &mut Vec<LoadError>) {
    let mut claimed: std::collections::BTreeSet<MachineName> =
        declarative.iter().map(|stored| stored.name.clone()).collect();
    claimed.extend(errors.iter().filter(|e| e.kind == Kind::Declarative).filter_map(|e| e.name.clone()));
    for error in errors.iter_mut().filter(|e| e.kind == Kind::Imperative) {
        error.shadowed = error.name.as_ref().is_some_and(|name| claimed.contains(name));
    }
    for stored in std::mem::take(intents) {
        if claimed.contains(&stored.name) {
            let reason = format!("'{}' is also a declarative container, which takes precedence", stored.name);
            let error = LoadError::new(stored.path, Kind::Imperative, Fault::whole(reason));
            errors.push(LoadError { shadowed: true, ..error.of(Some(stored.name), false) });
        } else {
            intents.push(stored);
        }
    }
    intents.extend(declarative);
}

fn host_fault(fault: Fault) -> LoadError {
    LoadError::new(HOST_FILE, Kind::Imperative, fault)
}

/// Refuses each name in a directory that cannot be trusted, and the directory itself.
fn refuse_all(loaded: &mut Loaded, path: &str, kind: Kind, fault: Fault, directory: Option<OwnedFd>) {
    for name in directory.iter().flat_map(|directory| intent_names(directory).unwrap_or_default()) {
        let why = Fault::whole(format!("is in {path}, which {}", fault.reason));
        let error = LoadError::new(format!("{path}/{}.json", name.text), kind, why);
        loaded.errors.push(error.of(name.machine.ok(), true));
    }
    loaded.errors.push(LoadError::new(path, kind, fault));
}
