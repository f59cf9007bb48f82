//! networkd's copies of the .network files of containers and zones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::own_file::{generated, place, remove_marked};
use super::running::runs;
use crate::name::MachineName;
use crate::network;
use crate::plan::{EXTENSION, NETWORK_ASKED, NETWORK_NAME};
use crate::store::{DECLARATIVE_DIRECTORY, DIRECTORY};
use crate::syntax::parse;

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

/// Removes networkd's files of containers that have no intent and do not run, and of zones without containers. Returns
/// their names.
pub fn sweep_networks(root: &Path) -> Vec<String> {
    // A path that cannot be inspected may exist.
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
