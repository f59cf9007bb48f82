//! Refuses a start: prints the reason that the generator recorded, and exits with 78 (EX_CONFIG), which systemd shows
//! as `78/CONFIG`. Changes nothing.

use std::path::Path;

use nixos_nspawn_units::copies::generated;
use nixos_nspawn_units::name::MachineName;

use crate::failure::Failure;

/// EX_CONFIG of sysexits.h; systemd.exec(5) names it CONFIG.
pub(crate) const CONFIG: u8 = 78;

/// Returns the failure with the reason for the container's refusal.
pub(crate) fn refuse(root: &Path, name: &MachineName) -> Failure {
    let path = generated(root, &format!("{name}.refused"));
    let message = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        format!("{}: cannot be read: {error}; see 'nixos-nspawn show {name}'", path.display())
    });
    Failure { status: CONFIG, message: message.trim_end().to_owned() }
}
