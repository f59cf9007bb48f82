//! What must hold before a container is changed, checked before anything is stopped.

use anyhow::Result;
use nixos_nspawn_units::conflict::claimed_ports;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Loaded;
use rustix::fs::{Access, access};

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::change::next::profile_folder;
use crate::fact::taken_ports::Listening;
use crate::host::{systemd, unit_links};

/// Refuses forwards of ports on which a service of the host listens; those of the old configuration are not checked.
/// Loads the other containers if the caller has not.
pub(crate) fn check_ports(
    host: &Host,
    loaded: Option<&Loaded>,
    name: &MachineName,
    old: Option<&Intent>,
    new: &Intent,
    allow: bool,
) -> Result<()> {
    if allow || !host.live() || claimed_ports(&new.container).next().is_none() {
        return Ok(());
    }
    let had = old.map(|old| &old.container);
    let listening = match loaded {
        Some(loaded) => Listening::read(host, loaded),
        None => Listening::read(host, &host.load()),
    };
    let taken = listening.taken(host, &new.container, had);
    if taken.is_empty() {
        return Ok(());
    }
    let ports: Vec<String> =
        taken.iter().map(|taken| format!("{} is in use by {}", taken.port, taken.holder())).collect();
    unchanged(
        format!("container '{name}' would take over ports of the host: {}", ports.join(", ")),
        "choose another port, or stop the service; --allow-taken-ports accepts that",
    )
}

/// Refuses an update that could neither be done nor reverted.
pub(crate) fn ready(host: &Host, name: &MachineName, old: &Intent) -> Result<()> {
    let unit = unit_name(name);
    if unit_links::masked(host, name) {
        return unchanged(format!("{unit} is masked"), format!("run 'systemctl unmask {unit}' first"));
    }
    if systemd::state(host, name)?.frozen {
        return unchanged(
            format!("container '{name}' is frozen, nothing inside answers"),
            format!("'systemctl thaw {unit}' lets it run"),
        );
    }
    can_start(host, name)?;
    // A hand-written intent may name any profile, even the host's own.
    let folder = profile_folder(host, name, old);
    if folder.file_name().is_none_or(|folder| folder != name.as_str()) {
        return unchanged(
            format!("{}: is not the profile directory of container '{name}'", folder.display()),
            format!("it must be named '{name}'"),
        );
    }
    Ok(())
}

/// Refuses to touch a container that could not be started again.
fn can_start(host: &Host, name: &MachineName) -> Result<()> {
    const MACHINED: &str = "systemd-machined.service";
    if unit_links::unit_masked(host, MACHINED) {
        return unchanged(
            format!("{MACHINED} is masked, so container '{name}' could not start again"),
            format!("'systemctl unmask {MACHINED}' lifts that"),
        );
    }
    let settings = host.path(host.scope.nspawn_files[1]);
    let writable = || access(&settings, Access::WRITE_OK);
    if settings.is_dir() && writable().is_err() {
        return unchanged(
            format!(
                "{}: cannot be written to, so container '{name}' could not start again",
                settings.display()
            ),
            "mount it writable",
        );
    }
    Ok(())
}
