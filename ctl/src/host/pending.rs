//! The records that commands have left, or are working with.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::base::host::Host;
use crate::host::files::names_in;
use crate::host::record::{Record, named};

/// Returns the records of commands that were killed or are still running; their locks tell which. A record names
/// paths to delete, so only those that root owns are accepted, as with intents. An unreadable file is an error, since
/// it may be a record.
pub(crate) fn pending(host: &Host) -> Result<Vec<Record>> {
    let folder = host.intents();
    let mut records = Vec::new();
    if !trusted(host, &folder)? {
        return Ok(records);
    }
    for file in names_in(&folder)? {
        let Some((name, step)) = named(&file) else { continue };
        let path = folder.join(&file);
        if trusted(host, &path)? {
            let bytes = match fs::read(&path) {
                // Records are renamed into place, so a full disk truncates none.
                Ok(bytes) => bytes,
                // The command has just ended.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("{}: cannot be read", path.display()));
                }
            };
            records.push(Record::read(name, step, &bytes));
        }
    }
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(records)
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
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
