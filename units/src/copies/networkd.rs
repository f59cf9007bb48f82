//! networkd's copies of the .network files of containers and zones.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::intended::zone_intended;
use super::own_file::{generated, place, remove_marked};
use super::running::runs;
use crate::name::MachineName;
use crate::network;
use crate::plan::{EXTENSION, MARKER, NETWORK_ASKED, NETWORK_HASH, NETWORK_NAME};
use systemd_unit_syntax::{UnitFile, parse};

/// Where networkd looks for configuration that lasts until the reboot (`systemd.network(5)`).
pub const NETWORK_DIRECTORY: &str = "run/systemd/network";

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

/// Returns what the generator wrote for networkd about a container; `None` if its settings ask for nothing. While PID 1
/// reloads, the generator's files are missing (`NotFound`), or are from two runs of it (`InvalidData`).
pub fn generated_network(root: &Path, name: &MachineName) -> io::Result<Option<NetworkText>> {
    let text = fs::read(generated(root, &format!("{name}.nspawn")))?;
    let file = parse(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?.file;
    network_of(root, &file)
}

/// Returns the file for networkd that belongs to a container's settings, as [`generated_network`] does.
pub fn network_of(root: &Path, settings: &UnitFile) -> io::Result<Option<NetworkText>> {
    let value = |key| settings.values(EXTENSION, key).next().map(str::to_owned);
    let (Some(hash), Some(file_name)) = (value(NETWORK_HASH), value(NETWORK_NAME)) else { return Ok(None) };
    let asked = value(NETWORK_ASKED).is_some();
    let text = fs::read_to_string(generated(root, &file_name))?;
    if !text.starts_with(&format!("# {MARKER}{hash}\n")) {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is from another run of the generator"));
    }
    Ok(Some(NetworkText { file_name, text, asked }))
}

/// Returns the path where networkd finds a file of that name.
pub fn network_path(root: &Path, file_name: &str) -> PathBuf {
    root.join(NETWORK_DIRECTORY).join(file_name)
}

/// Returns the path where networkd finds the configuration of a container's own interface.
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

/// Removes networkd's files of containers that are neither `kept` nor run, and of zones without containers. Returns
/// their names.
pub fn sweep_networks(root: &Path, kept: impl Fn(&MachineName) -> bool) -> Vec<String> {
    let mut swept = leftover_networks(root, kept);
    swept.retain(|file_name| remove_marked(&network_path(root, file_name)).unwrap_or(false));
    swept
}

/// Returns the names of the files that [`sweep_networks`] would remove, if they are ours.
pub fn leftover_networks(root: &Path, kept: impl Fn(&MachineName) -> bool) -> Vec<String> {
    let unused = |file_name: &str| {
        if let Some(bridge) = network::zone_bridge_of(file_name) {
            return !root.join("sys/class/net").join(bridge).exists()
                && !generated(root, file_name).exists()
                && !zone_intended(root, bridge);
        }
        network::container_of(file_name).is_some_and(|name| !kept(&name) && !runs(root, &name))
    };
    let entries = fs::read_dir(root.join(NETWORK_DIRECTORY)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
    names.retain(|file_name| unused(file_name));
    names.sort();
    names
}
