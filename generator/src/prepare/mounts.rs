//! The mounts of the host, and whether the owners of files below a bind source can be mapped.

use std::fs::read_to_string;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;

use crate::failure::Failure;
use crate::log::Log;

/// File systems without support for idmapped mounts (no `FS_ALLOW_IDMAP`, Linux 6.18).
const NOT_MAPPABLE: [&str; 12] = [
    "9p", "cifs", "devtmpfs", "efivarfs", "exfat", "fuseblk", "hfsplus", "nfs", "nfs4", "proc", "smb3",
    "sysfs",
];

/// Fails if another mount is below an idmapped source: nspawn 257–262 would fail with "Device or resource busy".
/// Warns if the file system is known not to support idmapped mounts; only the kernel knows for sure.
pub(crate) fn mappable(
    path: &Path,
    recursive: bool,
    name: &MachineName,
    mounts: &Mounts,
    log: &Log,
) -> Result<(), Failure> {
    if let Some(below) = mounts.below(path).next().filter(|_| recursive) {
        let reason = format!("'{below}' is mounted below it, and ids cannot be mapped on both");
        let next = "; set 'recursive' to false (or 'norbind'), and add a bind mount for what is below";
        return Err(Failure::not_started(path.display(), reason, name, next));
    }
    if let Some(kind) =
        mounts.kind(path).filter(|kind| NOT_MAPPABLE.contains(kind) || kind.starts_with("fuse."))
    {
        log.warning(&format!(
            "{}: ids cannot be mapped on a file system of type {kind}; if systemd-nspawn fails to map them, set 'idmap' \
             of this bind mount to 'noidmap'",
            path.display()
        ));
    }
    Ok(())
}

/// The host's mount points in mount order, each with the type of its file system.
pub(crate) struct Mounts(Vec<(String, String)>);

impl Mounts {
    /// Reads the mounts. Returns none if that fails; nspawn makes its own checks.
    pub(crate) fn read(root: &Path) -> Self {
        let text = read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        let mount = |line: &str| {
            // proc_pid_mountinfo(5): fields of the mount, then ` - ` and the type.
            let (mount, system) = line.split_once(" - ")?;
            let place = mount.split(' ').nth(4)?;
            let place = place
                .replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\012", "\n")
                .replace("\\134", "\\");
            Some((place, system.split(' ').next()?.to_owned()))
        };
        Self(text.lines().filter_map(mount).collect())
    }

    /// Iterates over the mount points below the path.
    pub(crate) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a str> {
        let below = move |place: &&str| Path::new(place).starts_with(path) && Path::new(place) != path;
        self.0.iter().map(|(place, _)| place.as_str()).filter(below)
    }

    /// Returns the type of the file system that holds the path: that of the last mount on its longest prefix.
    fn kind(&self, path: &Path) -> Option<&str> {
        let over = self.0.iter().filter(|(place, _)| path.starts_with(place));
        over.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.as_str())
    }
}
