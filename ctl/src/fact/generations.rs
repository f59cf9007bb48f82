//! The generations of a container's profile, as the links in its folder tell them. A context and an intent go in, the
//! list comes out, oldest first; nothing is changed here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::host::Host;
use crate::host::gc_roots::pin_link;
use crate::host::inside::running_system;
use crate::host::profile_links::profile_link;

/// One generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Its number.
    pub(crate) number: u64,
    /// When it was made; unknown for one that only a pin keeps.
    pub(crate) made: Option<SystemTime>,
    /// The profile in the store.
    pub(crate) path: StorePath,
    /// The system, unless it is gone from the store.
    pub(crate) toplevel: Option<StorePath>,
    /// Whether it is what the intent records.
    pub(crate) current: bool,
    /// Whether the live container has its system.
    pub(crate) running: bool,
    /// Whether it is pinned.
    pub(crate) pinned: bool,
}

/// All generations, those too that only a pin still keeps.
pub(crate) fn generations(host: &Host, name: &MachineName, intent: &Intent) -> Vec<Generation> {
    let link = profile_link(host, name, intent);
    let base = link.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let running = running_system(host, name);
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    let numbered = |folder: PathBuf, prefix: &str, suffix: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let number =
                    entry.file_name().to_str()?.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()?;
                Some((number, entry.path()))
            })
            .collect::<Vec<(u64, PathBuf)>>()
    };
    let folder = host.path(link.parent().unwrap_or(Path::new("/")));
    found.extend(numbered(folder, &format!("{base}-"), "-link"));
    for (number, pin) in numbered(host.gc_roots(), &format!("{name}-pin-"), "") {
        let same = |(other, link): &(u64, PathBuf)| {
            *other == number && fs::read_link(link).ok() == fs::read_link(&pin).ok()
        };
        if !found.iter().any(same) {
            found.push((number, pin));
        }
    }
    found.sort();
    found
        .into_iter()
        .filter_map(|(number, link)| {
            let path: StorePath = fs::read_link(&link).ok()?.to_str()?.parse().ok()?;
            let toplevel = crate::nix::profile::toplevel(host, &path).ok();
            let pin = pin_link(host, name, number);
            Some(Generation {
                number,
                made: (link != pin)
                    .then(|| fs::symlink_metadata(&link).and_then(|m| m.modified()).ok())
                    .flatten(),
                current: intent.generation == Some(number),
                running: running.is_some() && running == toplevel,
                // The number alone tells nothing: Nix gives numbers of deleted generations again.
                pinned: fs::read_link(&pin).is_ok_and(|target| target == Path::new(path.as_str())),
                path,
                toplevel,
            })
        })
        .collect()
}
