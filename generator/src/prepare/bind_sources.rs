//! Creates and checks the sources of bind mounts. Only the last component of a missing source is created: if a disk
//! is not mounted yet, a database must not initialise itself on the root file system. Nothing is created below /dev.
//! Links inside a container's root are not followed, since the container controls them. Reports what nspawn would
//! reject with an unhelpful message.

use std::fs::{DirBuilder, metadata, read_to_string};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::host_nix::is_locked;
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::words::bind_fields;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use crate::failure::Failure;
use crate::log::Log;
use crate::prepare::devices::is_copy;
use crate::prepare::root_directory::beneath;

/// Creates the missing sources of all `Bind=` and `BindReadOnly=` lines.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile, log: &Log) -> Result<(), Failure> {
    let mut mounts = None;
    for value in file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly")) {
        let Ok(fields) = bind_fields(value) else { continue };
        // An empty source is a temporary directory; one with `+` is inside the container.
        let own = is_copy(&fields.source, name) || is_locked(&fields.source, name);
        if own || !fields.source.starts_with('/') {
            continue;
        }
        let path = root.join(fields.source.trim_start_matches('/'));
        match in_a_container(&fields.source) {
            Some((container, inside)) => made_inside(root, &container, &inside, name)?,
            None => made(&path, &fields.source, name)?,
        }
        let options: Vec<&str> = fields.options.iter().flat_map(|options| options.split(',')).collect();
        if options.iter().any(|option| ["idmap", "rootidmap", "owneridmap"].contains(option)) {
            let mounts = mounts.get_or_insert_with(|| Mounts::read(root));
            mappable(&path, !options.contains(&"norbind"), name, mounts, log)?;
        }
    }
    Ok(())
}

/// Returns the root of the container that a source is in, and the path below that root.
fn in_a_container(source: &str) -> Option<(PathBuf, PathBuf)> {
    let mut parts = Path::new(source).strip_prefix("/var/lib/machines").ok()?.components();
    let container = Path::new("var/lib/machines").join(parts.next()?);
    let inside = parts.as_path();
    (!inside.as_os_str().is_empty()).then(|| (container, inside.to_owned()))
}

/// Creates a source inside a container's root, without following links. nspawn would resolve them on the host, so one
/// container could choose which of the host's files another one sees.
fn made_inside(root: &Path, container: &Path, inside: &Path, name: &MachineName) -> Result<(), Failure> {
    let path = root.join(container);
    let failed = |error: Errno| match error {
        Errno::NOENT => {
            let reason = "bind mount source and its parent directory do not exist";
            refused(&path.join(inside), reason, name, "; create them, or mount what belongs there")
        }
        Errno::LOOP | Errno::XDEV => {
            let reason = "bind mount source is inside a container and leads through a symbolic link";
            refused(&path.join(inside), reason, name, "; use a directory outside containers")
        }
        other => refused(&path.join(inside), &io::Error::from(other).to_string(), name, ""),
    };
    let above = openat(CWD, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let above = above.map_err(failed)?;
    match beneath(&above, inside, OFlags::empty()) {
        Ok(_) => return Ok(()),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error)),
    }
    let Some(last) = inside.file_name() else { return Err(failed(Errno::XDEV)) };
    let parent = match inside.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => beneath(&above, parent, OFlags::DIRECTORY).map_err(failed)?,
        None => above,
    };
    match mkdirat(&parent, last, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Creates a source on the host if it is missing.
pub(crate) fn made(path: &Path, source: &str, name: &MachineName) -> Result<(), Failure> {
    match metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(path, &error.to_string(), name, "")),
    }
    // A directory would be in the way of the device when it appears.
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
            let reason = "bind mount source and its parent directory do not exist";
            Err(refused(path, reason, name, "; create them, or mount what belongs there"))
        }
        Err(error) => Err(refused(path, &format!("cannot be created: {error}"), name, "")),
    }
}

/// File systems without support for idmapped mounts (no `FS_ALLOW_IDMAP`, Linux 6.18).
const NOT_MAPPABLE: [&str; 12] = [
    "9p", "cifs", "devtmpfs", "efivarfs", "exfat", "fuseblk", "hfsplus", "nfs", "nfs4", "proc", "smb3",
    "sysfs",
];

/// Fails if another mount is below an idmapped source: nspawn 257–262 would fail with "Device or resource busy".
/// Warns if the file system is known not to support idmapped mounts; only the kernel knows for sure.
fn mappable(
    path: &Path,
    recursive: bool,
    name: &MachineName,
    mounts: &Mounts,
    log: &Log,
) -> Result<(), Failure> {
    let Ok(path) = path.canonicalize() else { return Ok(()) };
    if let Some(below) = mounts.below(&path).filter(|_| recursive) {
        let reason = format!("'{below}' is mounted below it, and ids cannot be mapped on both");
        let next = "; set 'recursive' to false (or 'norbind'), and add a bind mount for what is below";
        return Err(refused(&path, &reason, name, next));
    }
    if let Some(kind) =
        mounts.kind(&path).filter(|kind| NOT_MAPPABLE.contains(kind) || kind.starts_with("fuse."))
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
struct Mounts(Vec<(String, String)>);

impl Mounts {
    /// Reads the mounts. Returns none if that fails; nspawn makes its own checks.
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

    /// Returns a mount point below the path.
    fn below(&self, path: &Path) -> Option<&str> {
        let below = |place: &str| Path::new(place).starts_with(path) && Path::new(place) != path;
        self.0.iter().map(|(place, _)| place.as_str()).find(|place| below(place))
    }

    /// Returns the type of the file system that holds the path: that of the last mount on its longest prefix.
    fn kind(&self, path: &Path) -> Option<&str> {
        let over = self.0.iter().filter(|(place, _)| path.starts_with(place));
        over.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.as_str())
    }
}

/// Returns the failure of a source.
fn refused(path: &Path, reason: &str, name: &MachineName, next: &str) -> Failure {
    Failure::new(format!("{}: {reason}, container '{name}' is not started{next}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_dir_all};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn places_in_containers() {
        let place = |source: &str| in_a_container(source).map(|(container, inside)| container.join(inside));
        assert_eq!(place("//var/lib/machines//db/srv/x"), Some("var/lib/machines/db/srv/x".into()));
        assert_eq!(place("/var/lib/machines/db/../x"), Some("var/lib/machines/db/../x".into()));
        for other in ["/srv", "/var/lib/machines", "/var/lib/machines/db", "/var/lib/machines-2/db/srv"] {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn links_of_containers_are_not_followed() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-bind-sources-{}", std::process::id()));
        let db = root.join("var/lib/machines/db");
        create_dir_all(db.join("srv")).unwrap();
        create_dir_all(root.join("etc")).unwrap();
        symlink(root.join("etc"), db.join("evil")).unwrap();
        symlink("../../../../../etc", db.join("srv/evil")).unwrap();
        let name = "web".parse().unwrap();
        let make = |inside: &str| {
            made_inside(&root, Path::new("var/lib/machines/db"), Path::new(inside), &name)
                .map_err(|failure| failure.message)
        };
        assert_eq!(make("srv/new"), Ok(()));
        assert!(db.join("srv/new").is_dir());
        assert_eq!(make("srv/new"), Ok(()));
        assert_eq!(make("top"), Ok(()));
        for evil in ["evil", "evil/x", "srv/evil", "srv/evil/x", "../x", "srv/../../x", ".."] {
            assert!(make(evil).unwrap_err().contains("leads through a symbolic link"), "{evil}");
        }
        assert!(make("none/x").unwrap_err().contains("its parent directory do not exist"));
        assert!(!root.join("etc/x").exists() && !root.join("var/lib/machines/x").exists());
        remove_dir_all(&root).unwrap();
    }
}
