//! Free space and inodes of the file systems that containers need.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::host::files::absent;

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    /// The directories on it.
    pub(crate) places: Vec<&'static str>,
    /// Those of them that cannot be written to.
    pub(crate) read_only: Vec<&'static str>,
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
const PLACES: [&str; 4] = ["/etc/nixos-nspawn", "/nix", "/var/lib/machines", "/run"];

/// Returns the file systems, each once.
pub(crate) fn spaces(host: &Host) -> Vec<Seen<Space>> {
    let mut all: Vec<(Option<u64>, Seen<Space>)> = Vec::new();
    for place in PLACES {
        let path = host.directory(place);
        let (device, found) = match existing(&path) {
            Ok((there, device)) => (Some(device), space(host, there, place)),
            Err(unseen) => (None, Err(unseen)),
        };
        match (all.iter_mut().find(|(known, _)| device.is_some() && *known == device), found) {
            // Places on one file system may be mounted differently.
            (Some((_, Ok(space))), Ok(other)) => {
                space.places.extend(other.places);
                space.read_only.extend(other.read_only);
            }
            (_, found) => all.push((device, found)),
        }
    }
    all.into_iter().map(|(_, space)| space).collect()
}

/// Returns the part of a path that exists, and its device: what is missing will be made on the file system of its parent.
fn existing(path: &Path) -> Seen<(&Path, u64)> {
    for part in path.ancestors() {
        match fs::metadata(part) {
            Ok(found) => return Ok((part, found.dev())),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(Unseen::path(part, &error)),
        }
    }
    Err(Unseen { why: format!("{}: does not exist", path.display()), needs_root: false })
}

fn space(host: &Host, path: &Path, place: &'static str) -> Seen<Space> {
    let found = statvfs(path).map_err(|error| Unseen::path(path, &error.into()))?;
    // An offline tree is mounted otherwise when it runs.
    let read_only = host.live() && found.f_flag.contains(StatVfsMountFlags::RDONLY);
    Ok(Space {
        places: vec![place],
        read_only: if read_only { vec![place] } else { Vec::new() },
        size: found.f_blocks.saturating_mul(found.f_frsize),
        free: found.f_bavail.saturating_mul(found.f_frsize),
        inodes: found.f_files,
        free_inodes: found.f_favail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_made_on_the_file_system_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let device = fs::metadata(folder.path()).unwrap().dev();
        assert_eq!(existing(&folder.path().join("a/b")), Ok((folder.path(), device)));
        std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
        assert!(existing(&folder.path().join("loop/x")).is_err());
    }
}
