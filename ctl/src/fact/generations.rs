//! The generations of a container's profile, as read from the links in its directory, oldest first.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::host::Host;
use crate::host::files::names_in;
use crate::host::gc_roots::pin_link;
use crate::host::inside::running_system;
use crate::host::profile_links::profile_link;
use crate::host::snapshots::Snapshot;

/// A generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Its number.
    pub(crate) number: u64,
    /// When it was made; unknown if only a pin keeps it.
    pub(crate) made: Option<SystemTime>,
    /// The profile in the store.
    pub(crate) path: StorePath,
    /// The system, unless it is gone from the store.
    pub(crate) toplevel: Option<StorePath>,
    /// Whether the intent records it.
    pub(crate) current: bool,
    /// Whether the running container has its system.
    pub(crate) running: bool,
    /// Whether it is pinned.
    pub(crate) pinned: bool,
}

impl Generation {
    /// Returns whether a snapshot is of this generation.
    pub(crate) fn has(&self, snapshot: &Snapshot) -> bool {
        snapshot.generation == Some(self.number) && snapshot.profile.as_ref() == Some(&self.path)
    }
}

/// Returns the current generation. Nix reuses numbers: one that only a pin keeps may have the same.
pub(crate) fn current(all: &[Generation]) -> Option<&Generation> {
    all.iter().filter(|one| one.current).max_by_key(|one| one.made.is_some())
}

/// Returns all generations, including those that only a pin keeps. An unreadable directory is an error, since
/// generations newer than the newest may be deleted.
pub(crate) fn generations(host: &Host, name: &MachineName, intent: &Intent) -> Result<Vec<Generation>> {
    let link = profile_link(host, name, intent);
    let base = link.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let running = running_system(host, name);
    let numbered = |folder: PathBuf, prefix: &str, suffix: &str| -> Result<Vec<(u64, PathBuf)>> {
        let number = |file: &String| file.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u64>().ok();
        let names = names_in(&folder)?;
        Ok(names.iter().filter_map(|file| Some((number(file)?, folder.join(file)))).collect())
    };
    let folder = host.directory(link.parent().unwrap_or(Path::new("/")));
    let mut found = numbered(folder, &format!("{base}-"), "-link")?;
    for (number, pin) in numbered(host.gc_roots(), &format!("{name}-pin-"), "")? {
        let same = |(other, link): &(u64, PathBuf)| {
            *other == number && fs::read_link(link).ok() == fs::read_link(&pin).ok()
        };
        if !found.iter().any(same) {
            found.push((number, pin));
        }
    }
    found.sort();
    let mut all = Vec::new();
    for (number, link) in found {
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| link.display().to_string()),
        };
        // A link to another place is not ours.
        let Some(path) = target.to_str().and_then(|path| path.parse::<StorePath>().ok()) else { continue };
        let toplevel = crate::nix::profile::toplevel(host, &path).ok();
        let pin = pin_link(host, name, number);
        let made = || fs::symlink_metadata(&link).and_then(|link| link.modified()).ok();
        all.push(Generation {
            number,
            made: if link == pin { None } else { made() },
            current: intent.generation == Some(number),
            running: running.is_some() && running == toplevel,
            // The number alone is not enough: Nix reuses numbers of deleted generations.
            pinned: fs::read_link(&pin).is_ok_and(|target| target == Path::new(path.as_str())),
            path,
            toplevel,
        });
    }
    Ok(all)
}
