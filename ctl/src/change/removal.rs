//! What a remove covers and what it did, and what is left of a container that is not recorded.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded};

use crate::base::exit::{refuse, unchanged};
use crate::base::host::Host;
use crate::fact::dependents::Requiring;
use crate::fact::lookup::{Found, all_seen, declarative, find};
use crate::host::intent_file::intent_path;
use crate::host::subvolume::Btrfs;
use crate::host::{profile_links, snapshots, state_directory, systemd};

/// The options of a remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoveOptions {
    /// Whether to delete the state as well.
    pub(crate) delete_state: bool,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// The result of a remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The container was, or would be, removed.
    Container(Removal),
    /// A killed command had left it incomplete; these paths were deleted.
    HalfDone(Vec<PathBuf>),
    /// There is no such container.
    Absent(Left),
}

/// What a remove covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Whether it was running, and is stopped.
    pub(crate) stopped: bool,
    /// The intent, the profile directory with all generations, and the state.
    pub(crate) deleted: Vec<PathBuf>,
    /// The profile directory among them.
    pub(crate) profile: Option<PathBuf>,
    /// The state that is kept.
    pub(crate) kept: Option<PathBuf>,
    /// The snapshots of its state that are kept.
    pub(crate) snapshots: Option<PathBuf>,
    /// Containers that require it.
    pub(crate) dependents: Vec<MachineName>,
}

/// What is left of a container that is not recorded. Its intent may have been deleted by hand, and files without a
/// record may be somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether its unit runs.
    pub(crate) runs: bool,
    /// The profile directory of this name.
    pub(crate) profile: Option<PathBuf>,
    /// The state directory of this name, if that was to be deleted.
    pub(crate) state: Option<PathBuf>,
}

/// Returns what a remove would do.
pub(super) fn dry_run(
    host: &Host,
    name: &MachineName,
    options: RemoveOptions,
    loaded: &Loaded,
    requiring: &Requiring,
) -> Result<Removed> {
    let Some(found) = found(host, loaded, name)? else {
        return Ok(Removed::Absent(left(host, name, options)));
    };
    if options.delete_state {
        state_directory::check(host, name)?;
    }
    removal(host, name, options, &found, requiring).map(Removed::Container)
}

/// Returns what a remove covers, before anything is done.
pub(super) fn removal(
    host: &Host,
    name: &MachineName,
    options: RemoveOptions,
    found: &Found,
    requiring: &Requiring,
) -> Result<Removal> {
    let state = state_directory::directory(host, name);
    // A declarative container of that name keeps running.
    let ours = found.kind() == Kind::Imperative;
    let profile = Some(profile_directory(host, found, name)).filter(|path| !path.as_os_str().is_empty());
    let mut removal = Removal {
        stopped: ours && host.live() && !systemd::state(host, name)?.stopped(),
        deleted: std::iter::once(intent_path(host, name)).chain(profile.clone()).collect(),
        profile,
        kept: None,
        snapshots: None,
        dependents: requiring.containers(name),
    };
    let snapshots = if ours { snapshots::read(host, name)? } else { Vec::new() };
    let kept = Some(snapshots::directory(host, name)).filter(|_| !snapshots.is_empty());
    if options.delete_state {
        removal.deleted.extend(Some(state).filter(|_| state_directory::exists(host, name)));
        if kept.is_some() {
            Btrfs::find(host)?;
        }
        removal.deleted.extend(kept);
    } else {
        removal.snapshots = kept;
        removal.kept = Some(state).filter(|_| state_directory::exists(host, name));
    }
    Ok(removal)
}

/// Returns the container, if this program may remove it.
pub(super) fn found<'a>(host: &Host, loaded: &'a Loaded, name: &MachineName) -> Result<Option<Found<'a>>> {
    match find(loaded, name) {
        Some(found) if found.kind() == Kind::Declarative => {
            // The declarative container shadows an imperative one of the same name, which is the one that the user
            // means.
            if intent_path(host, name).symlink_metadata().is_ok() {
                Ok(Some(found))
            } else {
                refuse(declarative(name))
            }
        }
        None => {
            all_seen(loaded)?;
            let path = host.path(host.scope.nspawn_files[0]).join(format!("{name}.nspawn"));
            if path.symlink_metadata().is_ok() {
                return unchanged(
                    format!("{}: '{name}' is a container that nixos-nspawn does not manage", path.display()),
                    "",
                );
            }
            Ok(None)
        }
        Some(Found::Broken(error)) => {
            // Where the directory itself is wrong, it is not known whose file this is.
            all_seen(loaded)?;
            Ok(Some(Found::Broken(error)))
        }
        found => Ok(found),
    }
}

/// Returns what is left of a container that is not recorded.
pub(super) fn left(host: &Host, name: &MachineName, options: RemoveOptions) -> Left {
    let profile = profile_links::profile_directory(host, name);
    let there = |profile: &PathBuf| host.path(profile).symlink_metadata().is_ok();
    let stays = options.delete_state && state_directory::exists(host, name);
    Left {
        runs: host.live() && systemd::state(host, name).is_ok_and(|state| !state.stopped()),
        profile: Some(profile).filter(there),
        state: stays.then(|| state_directory::directory(host, name)),
    }
}

/// Returns the directory of the profile: the recorded one, or where a create would have made it if that is proven to be
/// the container's. Otherwise returns an empty path.
pub(super) fn profile_directory(host: &Host, found: &Found, name: &MachineName) -> PathBuf {
    let recorded = match found {
        Found::Good(stored) => stored.intent.profile.as_ref(),
        Found::Broken(_) => None,
    };
    let Some(profile) = recorded.map(|profile| Path::new(profile.as_str())) else {
        return profile_links::proven_directory(host, name);
    };
    // Only a profile named as create names it belongs to the container; a hand-written intent may name any.
    let own = Path::new(name.as_str()).join("system");
    profile.parent().filter(|_| profile.ends_with(own)).map(Path::to_owned).unwrap_or_default()
}
