//! What running containers have in /run.

use nixos_nspawn_units::copies::{copy_path, marked, sweep, sweep_networks};
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;

/// The mark of the settings that nspawn was given; `None` if it was given none of ours.
pub(crate) fn mark(host: &Host, name: &MachineName) -> Option<String> {
    marked(&copy_path(&host.root, name)).ok().flatten()
}

/// Removes what stopped containers without an intent have left in /run, where that may be done.
pub(crate) fn tidy(host: &Host) {
    if host.live() && rustix::process::geteuid().is_root() {
        sweep(&host.root);
        sweep_networks(&host.root);
    }
}
