//! The files of running containers in /run.

use nixos_nspawn_units::copies::{copy_path, marked, sweep, sweep_networks};
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;

/// Returns the mark of the settings that nspawn was given, or `None` if they are not ours.
pub(crate) fn mark(host: &Host, name: &MachineName) -> Option<String> {
    marked(&copy_path(&host.root, name)).ok().flatten()
}

/// Removes files in /run that stopped containers without an intent left, as far as permissions allow.
pub(crate) fn tidy(host: &Host) {
    if host.live() && rustix::process::geteuid().is_root() {
        sweep(&host.root);
        sweep_networks(&host.root);
    }
}
