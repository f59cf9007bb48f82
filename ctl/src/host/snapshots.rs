//! The record of a container's snapshots, a file beside them. Only what it names is ever deleted, and only if it still is
//! the subvolume that was recorded.

use std::fs;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;
use serde::{Deserialize, Serialize};

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::host::files::{read_small, remove_file, sync_directory, write_file};

/// The directory of all snapshots, beside the roots, since it must be on their file system. `machinectl` takes a directory
/// with this ending for versions of an image, and so neither lists nor cleans it.
const DIRECTORY: &str = "nixos-nspawn.v";

/// The version of the format.
const VERSION: u32 = 1;

/// A snapshot of a container's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Its file name.
    pub(crate) directory: String,
    /// The generation that ran with this state; none if the container was removed since.
    pub(crate) generation: Option<u64>,
    /// The profile of that generation: Nix reuses numbers.
    pub(crate) profile: Option<StorePath>,
    /// When it was made (RFC 3339).
    pub(crate) time: String,
    /// The UUID of the subvolume.
    pub(crate) uuid: Option<String>,
    /// Whether it is the copy of another snapshot that the container ran on until a rollback was undone.
    #[serde(default, rename = "putBack", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) put_back: bool,
    /// The step that is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unfinished: Option<Unfinished>,
}

/// A step that was begun. Each is recorded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unfinished {
    /// The snapshot of the subvolume with this UUID is being made.
    Making(String),
    /// The state, which has the UUID of this entry, is being exchanged for a copy of the snapshot with this UUID.
    Exchanging(String),
    /// The state is a copy of the snapshot with this UUID and is being exchanged back for the earlier one, which has the
    /// UUID of this entry.
    PuttingBack(String),
    /// The snapshot is being deleted.
    Deleting,
}

/// The contents of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    version: u32,
    snapshots: Vec<Snapshot>,
}

/// Returns the directory of a container's snapshots.
pub(crate) fn directory(host: &Host, name: &MachineName) -> PathBuf {
    host.machines().join(DIRECTORY).join(name.as_str())
}

/// Returns the path of a snapshot.
pub(crate) fn path(host: &Host, name: &MachineName, snapshot: &Snapshot) -> PathBuf {
    directory(host, name).join(&snapshot.directory)
}

fn file(host: &Host, name: &MachineName) -> PathBuf {
    directory(host, name).join("snapshots.json")
}

/// Reads the snapshots of a container, the oldest first.
pub(crate) fn read(host: &Host, name: &MachineName) -> Result<Vec<Snapshot>> {
    let path = file(host, name);
    let text = match read_small(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    check_owner(host)?;
    let record: Record =
        serde_json::from_slice(&text).with_context(|| format!("{}: cannot be read", path.display()))?;
    if record.version > VERSION {
        let why = format!("{}: was written by a newer version of nixos-nspawn", path.display());
        return unchanged(why, "update nixos-nspawn");
    }
    let plain =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if let Some(wrong) = record.snapshots.iter().find(|snapshot| !plain(&snapshot.directory)) {
        return unchanged(
            format!("{}: '{}' is not a snapshot", path.display(), wrong.directory),
            "correct it",
        );
    }
    Ok(record.snapshots)
}

/// Changes the record, durably. Without snapshots, there is no record.
pub(crate) fn change(host: &Host, name: &MachineName, change: impl FnOnce(&mut Vec<Snapshot>)) -> Result<()> {
    let before = read(host, name)?;
    let mut after = before.clone();
    change(&mut after);
    if after == before {
        return Ok(());
    }
    let folder = directory(host, name);
    if after.is_empty() {
        remove_file(&file(host, name))?;
        sync_directory(&folder)?;
        // Foreign files in them stay.
        let _ = fs::remove_dir(&folder).and_then(|()| fs::remove_dir(host.machines().join(DIRECTORY)));
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("{}: cannot be created", folder.display()))?;
    check_owner(host)?;
    let text = serde_json::to_string(&Record { version: VERSION, snapshots: after })? + "\n";
    write_file(&file(host, name), text.as_bytes(), 0o600)
}

/// Refuses a directory that somebody else made: what it contains is not proven to be ours.
fn check_owner(host: &Host) -> Result<()> {
    let path = host.machines().join(DIRECTORY);
    let found = fs::symlink_metadata(&path).with_context(|| path.display().to_string())?;
    let own = rustix::process::geteuid().as_raw();
    let owner = found.uid() == host.scope.owner || !host.live() && found.uid() == own;
    if found.is_dir() && owner && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    unchanged(format!("{}: is not a directory for root only", path.display()), "see 'ls -ld'; move it away")
}
