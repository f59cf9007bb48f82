//! Steps on a profile that updates and their settlement share.

use std::fs;
use std::path::Path;

use nixos_nspawn_units::intent::Intent;

use crate::base::context::Context;
use crate::base::output;
use crate::host::profile_links;
use crate::nix::tool::Nix;

/// The link that held the build.
pub(crate) fn remove_pending(context: &Context, folder: &Path) {
    let pending = folder.join("pending");
    let _ = fs::remove_file(context.path(&pending));
    profile_links::drop_indirect_root(context, &pending);
}

/// The intent is the truth: where a profile stands elsewhere, by hand or after a power failure, it is set right.
pub(crate) fn align_profile(context: &Context, nix: &Nix, intent: &Intent) {
    let (Some(profile), Some(generation)) = (&intent.profile, intent.generation) else { return };
    let profile = Path::new(profile.as_str());
    if profile_links::generation(&context.path(profile)).is_ok_and(|present| present != generation) {
        if let Err(error) = nix.switch_generation(profile, generation) {
            // The generation may have been collected; the system itself is kept by a root of its own.
            output::tell(&format!(
                "{}: cannot be set to generation {generation}: {error:#}",
                profile.display()
            ));
        }
    }
}
