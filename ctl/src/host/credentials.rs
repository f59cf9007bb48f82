//! Checks that the credentials of a container exist before it is started: systemd's error for a missing one does not
//! name the file.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::refuse;
use crate::base::host::Host;

/// Refuses to start a container whose credentials are missing, and names the file.
pub(crate) fn check_credentials(host: &Host, name: &MachineName, intent: &Intent) -> Result<()> {
    for credential in &intent.container.credentials {
        let id = &credential.id;
        if let Some(path) = credential.file() {
            if !host.path(path).exists() {
                return refuse(format!(
                    "{path}: not found, so container '{name}' could not start without its credential '{id}'"
                ));
            }
            continue;
        }
        let stores =
            host.scope.credential_stores.iter().filter(|(_, encrypted)| credential.encrypted || !encrypted);
        let there = |folder: &str| host.path(folder).join(credential.source()).exists();
        if !stores.into_iter().any(|(folder, _)| there(folder)) {
            return refuse(format!(
                "the host's credential stores have no '{}', so container '{name}' could not start without its credential \
                 '{id}'; put it into /etc/credstore{}",
                credential.source(),
                if credential.encrypted { ".encrypted" } else { "" }
            ));
        }
    }
    Ok(())
}
