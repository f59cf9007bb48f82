//! Archives of containers: tar files with a description, the closure of the profile as `nix-store --export` writes it, and
//! the state with owners, attributes and links. docs/decisions/archives.md describes the format.

mod attributes;
pub(crate) mod extract;
mod frame;
pub(crate) mod names;
pub(crate) mod read;
mod sum;
pub(crate) mod write;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the format.
const VERSION: u32 = 1;

/// The first entry, a [`Description`].
const FIRST: &str = "nixos-nspawn.json";

/// The last entry, an [`End`].
const LAST: &str = "end.json";

/// The directory of the parts of the closure.
const CLOSURE: &str = "closure";

/// The state.
const STATE: &str = "state";

/// The size of a part of the closure. Its length is not known before it is written, and a part is held in memory.
const PART: usize = 4 << 20;

/// What an archive contains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    /// The version of the format.
    pub(crate) version: u32,
    /// The name of the container.
    pub(crate) name: MachineName,
    /// Its intent.
    pub(crate) intent: Value,
    /// The profile of its generation in the store.
    pub(crate) profile: StorePath,
    /// When the archive was made (RFC 3339).
    pub(crate) time: String,
}

/// Returns the description of an archive of this version.
pub(crate) fn description(
    name: &MachineName,
    intent: Value,
    profile: StorePath,
    time: String,
) -> Description {
    Description { version: VERSION, name: name.clone(), intent, profile, time }
}

/// The end of an archive, without which it is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    /// The hash of everything before.
    sha256: String,
    /// The number of entries before.
    entries: u64,
}

#[cfg(test)]
mod tests;
