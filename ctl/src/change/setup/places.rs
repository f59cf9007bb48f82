//! The installation path of the generator, and checks before it is written or removed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::fact::installation::GENERATOR;

/// Refuses to install on NixOS, which has a module for it.
pub(super) fn check(host: &Host) -> Result<()> {
    if host.path("/etc/NIXOS").exists() {
        return unchanged(
            "this is NixOS, where /etc/systemd/system-generators is part of the configuration",
            "use systemd.packages or the NixOS module",
        );
    }
    Ok(())
}

/// Returns the path where the generator is installed.
pub(super) fn target(host: &Host) -> PathBuf {
    host.directory(host.scope.own_generators).join(GENERATOR)
}

/// Refuses a file at the installation path that masks the generator (`systemd.generator(7)`).
pub(super) fn not_masked(target: &Path) -> Result<()> {
    match target.metadata() {
        Ok(found) if found.is_file() && found.len() > 0 => Ok(()),
        Ok(_) => unchanged(
            format!("{}: masks the generator and was not installed by nixos-nspawn", target.display()),
            "remove this file first",
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| target.display().to_string()),
    }
}
