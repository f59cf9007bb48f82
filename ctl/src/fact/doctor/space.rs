//! Free space and inodes of the file systems that containers need.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statvfs;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    /// The directories on it.
    pub(crate) places: Vec<&'static str>,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// What is left for its users.
    pub(crate) free: u64,
    /// The number of inodes; 0 if there is no limit.
    pub(crate) inodes: u64,
    /// How many are left.
    pub(crate) free_inodes: u64,
}

/// The directories.
const PLACES: [&str; 3] = ["/nix", "/var/lib/machines", "/run"];

/// Returns the file systems, each once.
pub(crate) fn spaces(host: &Host) -> Vec<Seen<Space>> {
    let mut all: Vec<(u64, Seen<Space>)> = Vec::new();
    for place in PLACES {
        let path = host.directory(place);
        // What does not exist yet will be made on the file system of its parent.
        let Some(there) = path.ancestors().find(|part| part.exists()) else { continue };
        let Ok(device) = fs::metadata(there).map(|found| found.dev()) else { continue };
        match all.iter_mut().find(|(known, _)| *known == device) {
            Some((_, Ok(space))) => space.places.push(place),
            Some((_, Err(_))) => {}
            None => all.push((device, space(there, place))),
        }
    }
    all.into_iter().map(|(_, space)| space).collect()
}

fn space(path: &Path, place: &'static str) -> Seen<Space> {
    let found = statvfs(path).map_err(|error| Unseen::path(path, &error.into()))?;
    Ok(Space {
        places: vec![place],
        size: found.f_blocks.saturating_mul(found.f_frsize),
        free: found.f_bavail.saturating_mul(found.f_frsize),
        inodes: found.f_files,
        free_inodes: found.f_favail,
    })
}
