//! The end of a switch whose intent somebody has edited meanwhile.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::intent::parse;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::snapshot;
use crate::host::gc_roots;
use crate::host::record::Record;
use crate::nix::tool::Nix;

/// Keeps an edited intent, with its system and its generation, and the container as it is.
pub(crate) fn keep(host: &Host, nix: &Nix, record: &Record, edited: &str) -> Result<()> {
    let name = &record.name;
    host.report(Event::EditKept { name: name.clone() });
    snapshot::keep(host, name)?;
    // What is wrong in it is reported wherever it is read.
    if let Ok(intent) = parse(edited.as_bytes(), name) {
        gc_roots::keep(host, name, &intent.toplevel)?;
        // An edit may name any profile; only this container's is moved.
        let own = record.details.profile_directory.join("system");
        if intent.profile.as_ref().is_some_and(|profile| Path::new(profile.as_str()) == own) {
            align_profile(host, nix, &intent);
        }
    }
    remove_pending(host, &record.details.profile_directory);
    record.finish(host)
}
