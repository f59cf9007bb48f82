//! Whether a container is recorded. The generator's directory cannot tell: PID 1 empties it at each daemon-reload.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::name::MachineName;
use crate::store::{DECLARATIVE_DIRECTORY, DIRECTORY, Trust, load};

/// Returns whether the container may have an intent: a file of its name exists, or cannot be looked up.
pub fn intended(root: &Path, name: &MachineName) -> bool {
    let file = format!("{name}.json");
    let places = [DIRECTORY, DECLARATIVE_DIRECTORY].map(|folder| root.join(&folder[1..]).join(&file));
    places
        .iter()
        .any(|path| !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound))
}

/// Returns whether a container may be in the zone of this bridge: an intent says so, or cannot be read.
pub(super) fn zone_intended(root: &Path, bridge: &str) -> bool {
    let loaded = load(root, Trust::below(root));
    let zones = loaded.intents.iter().filter_map(|stored| stored.intent.container.zone_name());
    !loaded.errors.is_empty() || zones.into_iter().any(|zone| bridge.strip_prefix("vz-") == Some(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_may_be_an_intent() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let name: MachineName = "web".parse().unwrap();
        assert!(!intended(root, &name) && !zone_intended(root, "vz-lab"));
        let folder = root.join(&DIRECTORY[1..]);
        fs::create_dir_all(&folder).unwrap();
        assert!(!intended(root, &name) && !zone_intended(root, "vz-lab"));
        fs::write(folder.join("web.json"), "{").unwrap();
        assert!(intended(root, &name) && zone_intended(root, "vz-lab"));
        let toplevel = format!("/nix/store/{}-a", "a".repeat(32));
        let text = format!(r#"{{"version":1,"toplevel":"{toplevel}","container":{{"zone":"lab"}}}}"#);
        fs::write(folder.join("web.json"), text).unwrap();
        assert!(zone_intended(root, "vz-lab") && !zone_intended(root, "vz-shop"));
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "no directory").unwrap();
        assert!(intended(root, &name) && zone_intended(root, "vz-lab"));
    }
}
