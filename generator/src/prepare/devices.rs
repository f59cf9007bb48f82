//! Checks the devices of the host that a container needs; nspawn would start without a missing one. In a user
//! namespace the container gets copies of the device nodes: devtmpfs does not support idmapped mounts, and a node
//! whose owner is not mapped cannot be opened inside.

use std::fs::{self, DirBuilder, Metadata, metadata, set_permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nixos_nspawn_units::copies::{devices_directory, remove_devices};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::files::{DEVICES, NEEDED_DEVICE, copied_device};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::mount::{MountFlags, mount};
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::words::bind_fields;

use crate::failure::Failure;

/// Checks the devices that the settings need, and creates the copies that they mount.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile) -> Result<(), Failure> {
    // An interrupted start may have left copies.
    let stale = |error: std::io::Error| {
        let path = devices_directory(root, name);
        Failure::not_started(path.display(), format!("cannot be removed: {error}"), name, "")
    };
    remove_devices(root, name).map_err(stale)?;
    let sources: Vec<String> =
        file.values("Files", "Bind").filter_map(|value| Some(bind_fields(value).ok()?.source)).collect();
    let mut mounted = false;
    for path in file.values("Files", NEEDED_DEVICE) {
        let node = node(root, name, path)?;
        let copy = copied_device(name.as_str(), path);
        if !sources.contains(&copy) {
            continue;
        }
        let failed = |error: std::io::Error| {
            Failure::not_started(&copy, format!("cannot be created: {error}"), name, "")
        };
        if !mounted {
            // The parent also holds locks, so it keeps the default mode.
            let beside = root.join(DEVICES).parent().map_or(Ok(()), fs::create_dir_all);
            beside.and_then(|()| mount_copies(&devices_directory(root, name))).map_err(failed)?;
            mounted = true;
        }
        copied(&root.join(copy.trim_start_matches('/')), &node).map_err(failed)?;
    }
    Ok(())
}

/// Returns whether a path is one of the container's device copies.
pub(crate) fn is_copy(path: &str, name: &MachineName) -> bool {
    path.strip_prefix(&format!("/{DEVICES}/{name}/")).is_some()
}

/// Returns the metadata of a device, following links.
fn node(root: &Path, name: &MachineName, path: &str) -> Result<Metadata, Failure> {
    let at = root.join(path.trim_start_matches('/'));
    let refused = |reason: &str, next: &str| Failure::not_started(at.display(), reason, name, next);
    let found = metadata(&at).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused(
            "there is no such device on the host",
            "; connect it, load its module, or remove it from the container's options",
        ),
        _ => refused(&error.to_string(), "; correct the container's options"),
    })?;
    if found.file_type().is_char_device() || found.file_type().is_block_device() {
        Ok(found)
    } else {
        Err(refused("is not a device", "; list each device in the container's options"))
    }
}

/// Mounts a file system that may hold devices and supports idmapped mounts. On the host only root can access it.
fn mount_copies(directory: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("nixos-nspawn", directory, "tmpfs", flags, c"mode=0700,size=1m,nr_inodes=4k")?;
    Ok(())
}

/// Creates the copy of a device node.
fn copied(copy: &Path, node: &Metadata) -> std::io::Result<()> {
    let parent: PathBuf = copy.parent().map(Path::to_owned).unwrap_or_default();
    fs::create_dir_all(parent)?;
    let kind = match node.file_type().is_block_device() {
        true => FileType::BlockDevice,
        false => FileType::CharacterDevice,
    };
    mknodat(CWD, copy, kind, Mode::empty(), node.rdev())?;
    chown(copy, Some(node.uid()), Some(node.gid()))?;
    // Set in a separate step, because mknod() applies the umask.
    set_permissions(copy, fs::Permissions::from_mode(node.mode() & 0o7777))
}
