//! What exists in /run while a container is active: copies of generated files and of devices, and mounts of the host's
//! Nix and of bind sources; networkd's copy exists while the container has an intent. Only what its first line or its
//! place proves to be ours is replaced or removed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use crate::intent::NIX_PARTS;
use crate::name::MachineName;
use crate::network;
use crate::nspawn::files::{BINDS, DEVICES};
use crate::nspawn::host_nix::HOST_NIX;
use crate::plan::{EXTENSION, MARKER, NETWORK_ASKED, NETWORK_NAME, OWN_DIRECTORY};
use crate::store::{DECLARATIVE_DIRECTORY, DIRECTORY};
use crate::syntax::parse;
use crate::write::write_at_once;

/// Where nspawn looks for settings that last until the reboot (`systemd.nspawn(5)`).
pub const NSPAWN_DIRECTORY: &str = "run/systemd/nspawn";

/// Where networkd looks for configuration that lasts until the reboot (`systemd.network(5)`).
pub const NETWORK_DIRECTORY: &str = "run/systemd/network";

/// Where PID 1 lets generators write their units (`systemd.generator(7)`).
pub const GENERATOR_DIRECTORY: &str = "run/systemd/generator";

/// The directory of GC roots of systems that are recorded or run.
pub const GC_ROOTS: &str = "nix/var/nix/gcroots/nixos-nspawn";

/// Returns the mount point of the container's copies of devices, below `root`.
pub fn devices_directory(root: &Path, name: &MachineName) -> PathBuf {
    root.join(DEVICES).join(name.as_str())
}

/// Removes the container's copies of devices; returns whether there were any. Open devices stay usable.
pub fn remove_devices(root: &Path, name: &MachineName) -> io::Result<bool> {
    remove_mount(&devices_directory(root, name))
}

/// Returns the folder of the container's mounts of the host's Nix, below `root`.
pub fn host_nix_directory(root: &Path, name: &MachineName) -> PathBuf {
    root.join(HOST_NIX).join(name.as_str())
}

/// Removes the container's mounts of the host's Nix; false if there were none. A running container keeps its own.
pub fn remove_host_nix(root: &Path, name: &MachineName) -> io::Result<bool> {
    let directory = host_nix_directory(root, name);
    for part in NIX_PARTS {
        remove_mount(&directory.join(part.name))?;
    }
    remove_mount(&directory)
}

/// Returns the folder of the container's mounts of bind sources, below `root`.
pub fn binds_directory(root: &Path, name: &MachineName) -> PathBuf {
    root.join(BINDS).join(name.as_str())
}

/// Removes the container's mounts of bind sources; false if there were none. A running container keeps its own.
pub fn remove_binds(root: &Path, name: &MachineName) -> io::Result<bool> {
    let directory = binds_directory(root, name);
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        remove_mount(&entry?.path())?;
    }
    remove_mount(&directory)
}

/// Unmounts everything from a mount point and removes it; false if there is none.
fn remove_mount(path: &Path) -> io::Result<bool> {
    detach(path);
    // Never recursively: that would empty what is still mounted.
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => fs::remove_file(path),
        _ => fs::remove_dir(path),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unmounts everything that is mounted at a path.
fn detach(path: &Path) {
    // Mounts may be stacked; the last attempt fails with EINVAL when none is left.
    for _ in 0..16 {
        // A mount of the host's may have others below it. As a peer of the host's it would unmount those, too.
        let _ = mount_change(path, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC);
        if unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_err() {
            break;
        }
    }
}

/// Returns the GC root of the running system, which keeps the host's garbage collector from deleting it.
pub fn running_root(root: &Path, name: &MachineName) -> PathBuf {
    root.join(GC_ROOTS).join(format!("{name}-running"))
}

/// Returns the path of a generated file, below `root`.
pub fn generated(root: &Path, file: &str) -> PathBuf {
    root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY).join(file)
}

/// Returns the path of the copy of the container's settings.
pub fn copy_path(root: &Path, name: &MachineName) -> PathBuf {
    root.join(NSPAWN_DIRECTORY).join(format!("{name}.nspawn"))
}

/// Returns the plan hash in the marker line of one of our files; `None` if the file is not ours.
pub fn marked(path: &Path) -> io::Result<Option<String>> {
    let mut start = [0; 128];
    let mut file = File::from(openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        Mode::empty(),
    )?);
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..])? {
            0 => break,
            read => length += read,
        }
    }
    let line = start[..length].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let hash = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("# ")?.strip_prefix(MARKER));
    Ok(hash.map(str::to_owned))
}

/// Writes the text atomically; fails if a file of that name exists that is not ours.
pub fn put(root: &Path, name: &MachineName, text: &[u8]) -> io::Result<()> {
    place(&root.join(NSPAWN_DIRECTORY), &format!("{name}.nspawn"), text)
}

/// Writes a text where nothing stands, or one of our files.
fn place(directory: &Path, file: &str, text: &[u8]) -> io::Result<()> {
    match marked(&directory.join(file)) {
        Ok(None) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "exists and was not made by nixos-nspawn",
            ));
        }
        Ok(Some(_)) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(directory)?;
    let directory = openat(CWD, directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // networkd reads its files as a user of its own.
    write_at_once(&directory, file, text, Mode::from_raw_mode(0o644))
}

/// Removes the copy; returns whether there was one of ours.
pub fn remove(root: &Path, name: &MachineName) -> io::Result<bool> {
    remove_marked(&copy_path(root, name))
}

fn remove_marked(path: &Path) -> io::Result<bool> {
    match marked(path) {
        Ok(Some(_)) => fs::remove_file(path).map(|()| true),
        Ok(None) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file for networkd, as the generator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkText {
    /// The file's name.
    pub file_name: String,
    /// Its text.
    pub text: String,
    /// Whether the container's options ask for it.
    pub asked: bool,
}

/// Returns what the generator wrote for networkd about a container; `None` if it wrote nothing.
pub fn generated_network(root: &Path, name: &MachineName) -> Option<NetworkText> {
    let text = fs::read(generated(root, &format!("{name}.nspawn"))).ok()?;
    let file = parse(&text).ok()?.file;
    let file_name = file.values(EXTENSION, NETWORK_NAME).next()?.to_owned();
    let asked = file.values(EXTENSION, NETWORK_ASKED).next().is_some();
    let text = fs::read_to_string(generated(root, &file_name)).ok()?;
    Some(NetworkText { file_name, text, asked })
}

/// Returns the path where networkd finds a file of that name.
pub fn network_path(root: &Path, file_name: &str) -> PathBuf {
    root.join(NETWORK_DIRECTORY).join(file_name)
}

/// Returns the path where networkd finds the configuration of a container's own cable.
pub fn own_network_path(root: &Path, name: &MachineName) -> PathBuf {
    network_path(root, &network::file_name(name))
}

/// Gives networkd the container's file and removes its earlier one; returns whether anything changed. The file stays while
/// the container is stopped. The caller notifies networkd.
pub fn put_network(root: &Path, name: &MachineName, wanted: Option<&NetworkText>) -> io::Result<bool> {
    let own = network::file_name(name);
    let removed = if wanted.is_none_or(|wanted| wanted.file_name != own) {
        remove_marked(&network_path(root, &own))?
    } else {
        false
    };
    let Some(NetworkText { file_name, text, asked: _ }) = wanted else { return Ok(removed) };
    if fs::read(network_path(root, file_name)).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(removed);
    }
    place(&root.join(NETWORK_DIRECTORY), file_name, text.as_bytes()).map(|()| true)
}

/// Removes networkd's files of containers that have no intent and do not run, and of zones that nobody is in. Returns
/// their names.
pub fn sweep_networks(root: &Path) -> Vec<String> {
    // What cannot be looked at may well be there.
    let intended = |name: &MachineName| {
        let file = format!("{name}.json");
        [DIRECTORY, DECLARATIVE_DIRECTORY]
            .iter()
            .map(|folder| fs::symlink_metadata(root.join(&folder[1..]).join(&file)))
            .any(|found| !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound))
    };
    let unused = |file_name: &str| {
        if let Some(bridge) = network::zone_bridge_of(file_name) {
            return !generated(root, file_name).exists() && !root.join("sys/class/net").join(bridge).exists();
        }
        network::container_of(file_name).is_some_and(|name| !intended(&name) && !runs(root, &name))
    };
    let entries = fs::read_dir(root.join(NETWORK_DIRECTORY)).into_iter().flatten().flatten();
    let mut swept: Vec<String> =
        entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
    swept.retain(|file_name| {
        unused(file_name) && remove_marked(&network_path(root, file_name)).unwrap_or(false)
    });
    swept.sort();
    swept
}

/// Removes leftovers of containers that have no intent and do not run. Deleting the intent, or masking the generator,
/// makes systemd forget the drop-in whose `ExecStopPost=` would have cleaned up. Returns their names.
pub fn sweep(root: &Path) -> Vec<MachineName> {
    let listed = |directory: &str, ending: &str| -> Vec<MachineName> {
        let entries = fs::read_dir(root.join(directory)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(ending)?.parse().ok()).collect()
    };
    let stale =
        |name: &MachineName| !generated(root, &format!("{name}.nspawn")).exists() && !runs(root, name);
    let mut swept: Vec<MachineName> = listed(NSPAWN_DIRECTORY, ".nspawn");
    swept.retain(|name| stale(name) && remove(root, name).unwrap_or(false));
    for name in listed(GC_ROOTS, "-running").iter().filter(|name| stale(name)) {
        let link = running_root(root, name);
        if fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink())
            && fs::remove_file(&link).is_ok()
        {
            swept.push(name.clone());
        }
    }
    for name in listed(DEVICES, "").into_iter().filter(|name| stale(name)) {
        if remove_devices(root, &name).unwrap_or(false) {
            swept.push(name);
        }
    }
    for name in listed(HOST_NIX, "").into_iter().filter(|name| stale(name)) {
        if remove_host_nix(root, &name).unwrap_or(false) {
            swept.push(name);
        }
    }
    for name in listed(BINDS, "").into_iter().filter(|name| stale(name)) {
        if remove_binds(root, &name).unwrap_or(false) {
            swept.push(name);
        }
    }
    swept.sort();
    swept.dedup();
    swept
}

/// Returns whether the container's unit is not stopped, as far as files tell: its machine is registered, or its control
/// group exists.
pub fn runs(root: &Path, name: &MachineName) -> bool {
    if root.join(format!("run/systemd/machines/{name}")).exists() {
        return true;
    }
    // In machine.slice, unless `Slice=` says otherwise; slices nest.
    fn contains(folder: &Path, unit: &str, depth: u8) -> bool {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut slices =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "slice"));
        slices.any(|slice| slice.join(unit).exists() || depth > 0 && contains(&slice, unit, depth - 1))
    }
    contains(&root.join("sys/fs/cgroup"), &format!("systemd-nspawn@{name}.service"), DEEPEST_SLICE)
}

/// How deep `a-b-c.slice` may nest to be found; a container in a deeper one is found once its machine is registered.
const DEEPEST_SLICE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_runs_in_whatever_slice_it_is() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-runs-{}", std::process::id()));
        let name: MachineName = "web".parse().unwrap();
        let folders =
            ["machine.slice", "machine.slice/machine-a.slice", "a.slice/a-b.slice/a-b-c.slice/a-b-c-d.slice"];
        for folder in folders {
            let slice = root.join("sys/fs/cgroup").join(folder);
            fs::create_dir_all(slice.join("systemd-nspawn@other.service")).unwrap();
            assert!(!runs(&root, &name));
            fs::create_dir(slice.join("systemd-nspawn@web.service")).unwrap();
            assert!(runs(&root, &name), "{folder}");
            fs::remove_dir_all(&root).unwrap();
        }
        // The container's own groups are skipped.
        fs::create_dir_all(root.join("sys/fs/cgroup/system.slice/x.service/systemd-nspawn@web.service"))
            .unwrap();
        assert!(!runs(&root, &name));
        fs::create_dir_all(root.join("run/systemd/machines/web")).unwrap();
        assert!(runs(&root, &name));
        fs::remove_dir_all(&root).unwrap();
    }
}
