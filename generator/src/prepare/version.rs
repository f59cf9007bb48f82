//! Compares the running systemd with the version that the generator assumed, since host.json may be outdated. nspawn
//! only warns about a setting it does not know, so a container would start with some of its settings missing. systemd
//! is asked only if a setting depends on its version.

use std::process::{Command, Stdio};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::HOST_FILE;
use nixos_nspawn_units::version::{need, unmet};
use systemd_unit_syntax::UnitFile;

use crate::failure::Failure;
use crate::log::Log;
use crate::refuse;

/// Fails if the running systemd does not know a setting of the file.
pub(crate) fn check(name: &MachineName, file: &UnitFile, log: &Log) -> Result<(), Failure> {
    let Some(need) = need(file) else { return Ok(()) };
    let Some(running) = running() else {
        log.warning(&format!(
            "systemctl: cannot get the version of systemd, container '{name}' is started because according to \
             {HOST_FILE} it knows {}",
            need.setting
        ));
        return Ok(());
    };
    match unmet(file, running) {
        None => Ok(()),
        Some(unmet) => Err(Failure {
            status: refuse::CONFIG,
            message: format!(
                "{unmet}, contrary to {HOST_FILE}, container '{name}' is not started; update systemd, or remove \
                 the setting"
            ),
        }),
    }
}

/// Returns the running version: 257 for `systemd 257 (257.13-1)`.
fn running() -> Option<u32> {
    // Units of NixOS have no systemctl in their PATH.
    let ask = |program: &str| {
        let output = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.split_whitespace().nth(1)?.split(['.', '~']).next()?.parse().ok()
    };
    ["systemctl", "/run/current-system/sw/bin/systemctl", "/usr/bin/systemctl"].into_iter().find_map(ask)
}
