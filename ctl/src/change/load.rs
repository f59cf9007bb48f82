//! Lets systemd know a container that is recorded but not started.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::host::intent_file::hash;
use crate::host::{sockets, systemd};

/// Loads the units of a container and opens its ports.
pub(crate) fn load(host: &Host, name: &MachineName, intent: &Intent) -> Result<()> {
    if !host.live() {
        return Ok(());
    }
    systemd::reload_to(host, name, hash(name, intent).as_deref())?;
    sockets::align(host, name, None, intent)
}
