//! host.json: what the generator must know of the host. It is recorded from what the running host is.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::store::{HOST_FILE, Host as HostFacts, Loaded};

use crate::base::host::Host;
use crate::host::files::write_file;
use crate::host::systemd;

/// Everything below /etc/nixos-nspawn, and the host as it is rather than as it was recorded.
pub(crate) fn load(host: &Host) -> Result<Loaded> {
    let mut loaded = host.load();
    if host.live() {
        loaded.host.systemd = systemd::version(host)?;
        if !is_configured(host) {
            loaded.host.boot_limit = host.config.boot_limit;
        }
    }
    Ok(loaded)
}

/// Whether host.json is a link, and so part of the host's NixOS configuration.
fn is_configured(host: &Host) -> bool {
    fs::symlink_metadata(host.path(HOST_FILE)).is_ok_and(|file| file.is_symlink())
}

/// Records what the generator must know of the host, if that changed; whether it did.
pub(crate) fn record(host: &Host, facts: &HostFacts) -> Result<bool> {
    let text = serde_json::to_string(facts)? + "\n";
    if is_configured(host) || fs::read_to_string(host.path(HOST_FILE)).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    write_file(&host.path(HOST_FILE), text.as_bytes(), 0o644)?;
    Ok(true)
}
