//! Steps on a profile that updates and their settlement share.

use std::fs;
use std::path::Path;

use nixos_nspawn_units::intent::Intent;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::host::profile_links;
use crate::nix::tool::Nix;

/// Removes the link that held the build.
pub(crate) fn remove_pending(host: &Host, folder: &Path) {
    let pending = folder.join("pending");
    // The root is removed first, because the link leads to it.
    profile_links::drop_indirect_root(host, &pending);
    let _ = fs::remove_file(host.path(&pending));
}

/// Sets a profile to the recorded generation; it may differ after manual changes or a power failure.
pub(crate) fn align_profile(host: &Host, nix: &Nix, intent: &Intent) {
    let (Some(profile), Some(generation)) = (&intent.profile, intent.generation) else { return };
    let profile = Path::new(profile.as_str());
    if profile_links::generation(&host.path(profile)).is_ok_and(|present| present != generation) {
        if let Err(error) = nix.switch_generation(profile, generation) {
            // The generation may have been collected; the system has a root of its own.
            host.report(Event::ProfileNotAligned {
                profile: profile.to_owned(),
                generation,
                error: format!("{error:#}"),
            });
        }
    }
}
