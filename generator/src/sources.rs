//! The sources of bind mounts. A missing one is made, but only its last component: a database must not initialise
//! itself on the root file system because the disk that belongs there is not mounted yet. Below /dev nothing is made. What
//! systemd-nspawn would fail on without a word that helps is said here.

use std::fs::{DirBuilder, metadata, read_to_string};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::words::bind_fields;

use crate::Failure;
use crate::devices::is_copy;
use crate::log::Log;

/// Makes the missing sources of all `Bind=` and `BindReadOnly=` lines.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile, log: &Log) -> Result<(), Failure> {
    let mut mounts = None;
    for value in file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly")) {
        let Ok(fields) = bind_fields(value) else { continue };
        // An empty source is a temporary directory, `+` one inside the container.
        if !fields.source.starts_with('/') || is_copy(&fields.source, name) {
            continue;
        }
        let path = root.join(fields.source.trim_start_matches('/'));
        made(&path, &fields.source, name)?;
        let options: Vec<&str> = fields.options.iter().flat_map(|options| options.split(',')).collect();
        if options.iter().any(|option| ["idmap", "rootidmap", "owneridmap"].contains(option)) {
            let mounts = mounts.get_or_insert_with(|| Mounts::read(root));
            mappable(&path, !options.contains(&"norbind"), name, mounts, log)?;
        }
    }
    Ok(())
}

fn made(path: &Path, source: &str, name: &MachineName) -> Result<(), Failure> {
    match metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(path, &error.to_string(), name, "")),
    }
    // A directory where a device belongs would be in its way when it comes.
    if source.starts_with("/dev/") && !source.starts_with("/dev/shm/") {
        return Err(refused(
            path,
            "there is no such device on the host",
            name,
            "; connect it or load its module",
        ));
    }
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && metadata(path).is_ok() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let reason = "bind mount source and the directory above it do not exist";
            Err(refused(path, reason, name, "; create it, or mount what belongs there"))
        }
        Err(error) => Err(refused(path, &format!("cannot be made: {error}"), name, "")),
    }
}

/// File systems whose owners the kernel cannot map (their types lack `FS_ALLOW_IDMAP`, Linux 6.18).
const NOT_MAPPABLE: [&str; 12] = [
    "9p", "cifs", "devtmpfs", "efivarfs", "exfat", "fuseblk", "hfsplus", "nfs", "nfs4", "proc", "smb3",
    "sysfs",
];

/// Refuses what systemd-nspawn 257–262 fails on with "Device or resource busy": mapped owners, and a mount below the
/// source. Warns of file systems that are known not to map any; whether they do is the kernel's to say.
fn mappable(
    path: &Path,
    recursive: bool,
    name: &MachineName,
    mounts: &Mounts,
    log: &Log,
) -> Result<(), Failure> {
    let Ok(path) = path.canonicalize() else { return Ok(()) };
    if let Some(below) = mounts.below(&path).filter(|_| recursive) {
        let reason =
            format!("'{below}' is mounted below it, and the owners of both cannot be mapped at once");
        let next = "; set 'recursive' to false (or 'norbind') and give what is below a bind mount of its own";
        return Err(refused(&path, &reason, name, next));
    }
    if let Some(kind) =
        mounts.kind(&path).filter(|kind| NOT_MAPPABLE.contains(kind) || kind.starts_with("fuse."))
    {
        log.warning(&format!(
            "{}: owners on a file system of type {kind} cannot be mapped; if systemd-nspawn fails to map ids, set 'idmap' \
             of this bind mount to 'noidmap'",
            path.display()
        ));
    }
    Ok(())
}

/// The mounts of the host, in their order.
struct Mounts(Vec<(String, String)>);

impl Mounts {
    /// None if they cannot be read: nspawn has the last word.
    fn read(root: &Path) -> Self {
        let text = read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        let mount = |line: &str| {
            // proc_pid_mountinfo(5): fields of the mount, then ` - ` and the type.
            let (mount, system) = line.split_once(" - ")?;
            let place = mount.split(' ').nth(4)?;
            let place = place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
            Some((place, system.split(' ').next()?.to_owned()))
        };
        Self(text.lines().filter_map(mount).collect())
    }

    fn below(&self, path: &Path) -> Option<&str> {
        let below = |place: &str| Path::new(place).starts_with(path) && Path::new(place) != path;
        self.0.iter().map(|(place, _)| place.as_str()).find(|place| below(place))
    }

    /// The type of the file system that the path is on: of the last mount over the longest part of it.
    fn kind(&self, path: &Path) -> Option<&str> {
        let over = self.0.iter().filter(|(place, _)| path.starts_with(place));
        over.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.as_str())
    }
}

fn refused(path: &Path, reason: &str, name: &MachineName, next: &str) -> Failure {
    Failure::new(format!("{}: {reason}, container '{name}' is not started{next}", path.display()))
}
