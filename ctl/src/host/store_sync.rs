//! Writes the Nix store and Nix's state to the disk.

use anyhow::{Context as _, Result};
use rustix::fs::syncfs;

use crate::base::host::Host;
use crate::host::files::open_directory;

/// The store, and the database with profiles and roots, which may be on another file system.
const PLACES: [&str; 2] = ["/nix/store", "/nix/var/nix"];

/// Writes everything that Nix has built, registered and linked to the disk. Nix does none of this itself: after a power
/// failure, files in the store may be empty, and a path may be unknown to its database.
pub(crate) fn sync_store(host: &Host) -> Result<()> {
    // Whoever fills an offline tree writes it to the disk.
    if !host.live() {
        return Ok(());
    }
    for place in PLACES {
        let place = host.path(place);
        let synced = open_directory(&place).and_then(|directory| Ok(syncfs(directory)?));
        synced.with_context(|| format!("{}: cannot be written to the disk", place.display()))?;
    }
    Ok(())
}
