//! The records that commands have left, or are working with.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::host::files::names_in;
use crate::host::record::{Begun, Record, named, record_file};

/// Returns the records of commands that were killed or are still running; their locks tell which. A record names
/// paths to delete, so only those that root owns are accepted, as with intents. An unreadable file is an error, since
/// it may be a record.
pub(crate) fn pending(host: &Host) -> Result<Vec<Record>> {
    let folder = host.intents();
    let mut records = Vec::new();
    for (name, step) in begun(host)? {
        let path = folder.join(record_file(&name, step));
        match fs::read(&path) {
            // Records are renamed into place, so a full disk truncates none.
            Ok(bytes) => records.push(Record::read(name, step, &bytes)),
            // The command has just ended.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{}: cannot be read", path.display()));
            }
        }
    }
    Ok(records)
}

/// Returns which commands were killed or are still running, by container. The names of the records tell, so that everybody who
/// can see the directory gets to know them.
pub(crate) fn begun(host: &Host) -> Result<Vec<(MachineName, Begun)>> {
    let folder = host.intents();
    let mut found = Vec::new();
    if !trusted(host, &folder)? {
        return Ok(found);
    }
    for file in names_in(&folder)? {
        let Some(record) = named(&file) else { continue };
        if trusted(host, &folder.join(&file))? {
            found.push(record);
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Returns whether a file or directory exists and only its owner can write to it.
fn trusted(host: &Host, path: &Path) -> Result<bool> {
    let own = rustix::process::geteuid().as_raw();
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            let owner = metadata.uid() == host.scope.owner || !host.live() && metadata.uid() == own;
            Ok(owner && metadata.mode() & 0o022 == 0 && (metadata.is_file() || metadata.is_dir()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be inspected", path.display())),
    }
}
