//! Removes what stopped containers left in /run when systemd could not clean up after them.

use nixos_nspawn_units::copies::{intended, sweep, sweep_networks};
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::fact::installation::generator_fault;

/// Removes files in /run of stopped containers that have no intent, or for which no generator runs, as far as permissions
/// allow.
pub(crate) fn tidy(host: &Host) {
    if host.live() && host.is_owner() {
        let generated = generator_fault(host).is_none();
        let kept = |name: &MachineName| generated && intended(&host.root, name);
        sweep(&host.root, kept);
        // networkd's files stay until the container is removed.
        sweep_networks(&host.root, |name| intended(&host.root, name));
    }
}
