//! The contents of the generator's directory: names, files and links, and the decision for each container.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::name::MachineName;
use crate::store::Kind;
use systemd_unit_syntax::UnitFile;

/// The directory below the generator's for files that are no units; PID 1 ignores it.
pub const OWN_DIRECTORY: &str = "nixos-nspawn";

/// The beginning of the first line of a generated .nspawn or .network file, after `# `. It distinguishes our copies in
/// /run from other files.
pub const MARKER: &str = "nixos-nspawn plan ";

/// The section of a generated .nspawn file for `--prepare`.
pub const EXTENSION: &str = "X-NixosNspawn";

/// Its setting with the hash of the container's .network file.
pub const NETWORK_HASH: &str = "NetworkFile";

/// Its setting with the name of that file.
pub const NETWORK_NAME: &str = "NetworkFileName";

/// Its setting that tells whether the options ask for that file, so that its absence is worth a warning.
pub const NETWORK_ASKED: &str = "HostNetworkConfig";

/// The file with the writable mounts of all containers whose intents are usable, in a section for each. It is complete, or
/// missing if an intent was not read or a container was not planned.
pub const WRITABLE: &str = "writable";

/// The name of our drop-in. Files of one name are merged over all drop-in directories (`systemd.unit(5)`), so the name
/// is one that nobody else uses, and sorts before an administrator's `override.conf`.
pub const DROP_IN: &str = "50-nixos-nspawn.conf";

/// The planned contents of the generator's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The files by path relative to the directory.
    pub files: BTreeMap<String, Entry>,
    /// The containers, ordered by name.
    pub containers: Vec<Planned>,
    /// The faults of files that name no container.
    pub faults: Vec<String>,
}

/// Files and links by path relative to the directory.
pub type Files = Vec<(String, Entry)>;

/// An entry of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file with this text.
    File(String),
    /// A symbolic link to this target.
    Link(Cow<'static, str>),
}

/// The decision for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: MachineName,
    /// Who manages it.
    pub kind: Kind,
    /// The hash of its settings, 32 hexadecimal digits, without links and comments; `None` if refused.
    pub hash: Option<String>,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Problems that do not prevent its start: conflicts with others, a cycle in the order.
    pub warnings: Vec<String>,
    /// Why its start is refused, with path, line and field; one line.
    pub refusal: Option<String>,
}

/// Returns the text of a file, or why systemd would read it differently.
pub(super) fn file(file: &UnitFile) -> Result<Entry, String> {
    match file.check() {
        Ok(()) => Ok(Entry::File(file.text())),
        Err(error) => Err(error.to_string()),
    }
}

/// Adds a comment with the origin of a file.
pub(super) fn header(file: &mut UnitFile, path: &str) {
    file.comment(["Written by nixos-nspawn-generator(8) from ", path, ", changes here are lost."].concat());
}
