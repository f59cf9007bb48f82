//! host.json: what the generator must know about the host, recorded from the running system.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::store::{HOST_FILE, Host as HostFacts, Loaded};

use crate::base::host::Host;
use crate::host::files::write_file;
use crate::host::systemd;

/// Loads everything in /etc/nixos-nspawn, with the current facts of the host instead of the recorded ones.
pub(crate) fn load(host: &Host) -> Result<Loaded> {
    let mut loaded = host.load();
    refresh(host, &mut loaded.host)?;
    Ok(loaded)
}

/// Returns the current facts of the host.
pub(crate) fn facts(host: &Host) -> Result<HostFacts> {
    let mut facts = host.load_none().host;
    refresh(host, &mut facts)?;
    Ok(facts)
}

fn refresh(host: &Host, facts: &mut HostFacts) -> Result<()> {
    if host.live() {
        facts.systemd = systemd::version(host)?;
        if !is_configured(host) {
            facts.boot_limit = host.config.boot_limit;
        }
    }
    Ok(())
}

/// Returns whether host.json is a link, and so part of the host's NixOS configuration.
fn is_configured(host: &Host) -> bool {
    fs::symlink_metadata(host.path(HOST_FILE)).is_ok_and(|file| file.is_symlink())
}

/// Records the facts of the host if they changed, and returns whether they did.
pub(crate) fn record(host: &Host, facts: &HostFacts) -> Result<bool> {
    let text = serde_json::to_string(facts)? + "\n";
    if is_configured(host) || fs::read_to_string(host.path(HOST_FILE)).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    write_file(&host.path(HOST_FILE), text.as_bytes(), 0o644)?;
    Ok(true)
}
