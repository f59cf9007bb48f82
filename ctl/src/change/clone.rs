//! Copies a container: its configuration and its state, as a snapshot on btrfs, otherwise file by file. The copy gets a
//! machine ID of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Intent, Source};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::change::new_copy::{NewCopy, check_place, make, make_state, sync_state};
use crate::change::next::{intent, layer, profile_folder};
use crate::change::{settle, snapshot};
use crate::decision::claims::{Claim, shared};
use crate::decision::overrides::OverrideChanges;
use crate::fact::installation;
use crate::fact::lookup::imperative;
use crate::host::files::{is_there, sync_directory};
use crate::host::intent_file::{self, Conflicts};
use crate::host::mounts::mounts_below;
use crate::host::own_identity::forget_identity;
use crate::host::record::{Record, StateClaim};
use crate::host::subvolume::{Btrfs, is_subvolume, not_btrfs};
use crate::host::{host_file, state_directory, systemd};
use crate::nix::profile;
use crate::nix::tool::Nix;

/// The options of a clone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloneOptions<'a> {
    /// A profile for the copy, in place of that of the container.
    pub(crate) profile: Option<&'a Path>,
    /// What the administrator sets for the copy, over the options of the build and those set for the container.
    pub(crate) overrides: Option<&'a OverrideChanges>,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// What a clone did, or would do.
#[derive(Debug, Clone)]
pub(crate) struct Cloned {
    /// How the state is copied.
    pub(crate) way: CopyWay,
    /// The state of the container, and that of its copy.
    pub(crate) state: (PathBuf, PathBuf),
    /// The profile in the store.
    pub(crate) profile: StorePath,
    /// What the administrator should know.
    pub(crate) notes: Vec<String>,
}

/// How state is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyWay {
    /// There is none yet.
    Nothing,
    /// By a snapshot of the subvolume.
    Snapshot,
    /// File by file, sharing blocks where the file system can.
    Files,
}

/// Copies a container.
pub(crate) fn clone(
    host: &Host,
    old: &MachineName,
    new: &MachineName,
    options: CloneOptions,
) -> Result<Cloned> {
    if old == new {
        return Err(Failed::Usage("the copy needs another name".to_owned()).into());
    }
    if options.dry_run {
        return draft(host, old, new, options).map(|(_, cloned)| cloned);
    }
    installation::check(host)?;
    let nix = Nix::find(host)?;
    let _locks = settle::lock_both(host, old, new)?;
    let (intent, cloned) = draft(host, old, new, options)?;
    let snapshot_wanted = intent.container.activation.snapshot;
    let (from, to) = &cloned.state;
    let what = format!("container '{old}' was not cloned");
    let copy = NewCopy { name: new, profile: &cloned.profile, intent };
    make(host, Some(&nix), copy, &what, |record| {
        match cloned.way {
            CopyWay::Nothing => return Ok(()),
            CopyWay::Snapshot => take_snapshot(host, (from, to), record)?,
            CopyWay::Files => {
                host.report(Event::Note { name: old.clone(), text: "copying its state".to_owned() });
                let _unused = state_directory::reserve(host, old)?;
                make_state(host, new, snapshot_wanted, record)?;
                failpoint("clone-made");
                copy_files(host, from, to)?;
            }
        }
        failpoint("clone-copied");
        forget_identity(to)?;
        sync_state(host, to)
    })?;
    Ok(cloned)
}

/// Makes a writable snapshot. It is recorded before which subvolume it will be one of.
fn take_snapshot(host: &Host, (from, to): (&Path, &Path), record: &mut Record) -> Result<()> {
    let btrfs = Btrfs::find(host)?;
    let Some(source) = btrfs.show(from)? else {
        return unchanged(format!("{}: is not a subvolume", from.display()), "");
    };
    record.details.state = StateClaim::SnapshotOf(source.uuid);
    record.save(host)?;
    btrfs.snapshot(from, to)?;
    sync_directory(&host.machines())?;
    failpoint("clone-made");
    if let Some(made) = btrfs.show(to)? {
        record.details.state = StateClaim::MadeSubvolume(made.uuid);
    }
    record.save(host)
}

/// Copies all files with owners, attributes and links. Nothing is mounted there, but there may be subvolumes.
fn copy_files(host: &Host, from: &Path, to: &Path) -> Result<()> {
    let call = host.program("cp").args(["-a", "--reflink=auto", "--"]);
    call.arg(from.join(".")).arg(to).output().map(drop)
}

/// Checks a clone. Returns the intent of the copy and what is done.
fn draft(
    host: &Host,
    old: &MachineName,
    new: &MachineName,
    options: CloneOptions,
) -> Result<(Intent, Cloned)> {
    let loaded = host_file::load(host)?;
    let present = imperative(&loaded, old)?.clone();
    check_place(host, new)?;
    let own = profile_folder(host, old, &present);
    let path = match options.profile {
        Some(path) => profile::store_path(host, path)?,
        None => current_profile(host, old, &present, &own)?,
    };
    let read = profile::read(host, &path, new)?;
    let mut source = present.source.clone().unwrap_or_default();
    if options.profile.is_some() {
        source = Source { profile: Some(path.to_string().parse()?), ..Source::default() };
    }
    source.applied = false;
    let layer = layer(&present.overrides, options.overrides)?;
    let copy = Intent { autostart: present.autostart, ..intent(host, new, &read, source, layer)? };
    let claims = shared(&present.container, &copy.container);
    if !claims.is_empty() {
        return cannot_share(old, &claims);
    }
    intent_file::check(&loaded, new, &copy, Conflicts::Refused)?;
    if host.live() {
        snapshot::check(host, new, &copy)?;
    }
    let from = state_directory::directory(host, old);
    // A link may lead to another disk.
    let resolved = if from.is_symlink() {
        from.canonicalize().with_context(|| from.display().to_string())?
    } else {
        from
    };
    let way = way(host, old, &resolved)?;
    let mut notes = Vec::new();
    if way != CopyWay::Nothing {
        notes.push("the copy has the same SSH host keys and other secrets as the original".to_owned());
    }
    let cloned =
        Cloned { way, state: (resolved, state_directory::directory(host, new)), profile: path, notes };
    Ok((copy, cloned))
}

/// Decides how the state is copied. Only a snapshot can be made of a running container.
pub(super) fn way(host: &Host, name: &MachineName, state: &Path) -> Result<CopyWay> {
    if !is_there(state)? {
        return Ok(CopyWay::Nothing);
    }
    if let Some(mount) = mounts_below(state)?.first() {
        return unchanged(
            format!("{}: is a mount point in the container's state", mount.display()),
            "unmount it, since what is mounted is not copied",
        );
    }
    if is_subvolume(state) && not_btrfs(state)?.is_none() && not_btrfs(&host.machines())?.is_none() {
        Btrfs::find(host)?;
        return Ok(CopyWay::Snapshot);
    }
    if host.live() && !systemd::state(host, name)?.stopped() {
        return unchanged(
            format!("container '{name}' is running, and its state is not a btrfs subvolume"),
            format!("'nixos-nspawn stop {name}' stops it"),
        );
    }
    Ok(CopyWay::Files)
}

/// Returns the profile of the recorded generation in the store.
pub(super) fn current_profile(
    host: &Host,
    name: &MachineName,
    present: &Intent,
    folder: &Path,
) -> Result<StorePath> {
    let link = present.generation.map(|number| folder.join(format!("system-{number}-link")));
    let target = link.and_then(|link| std::fs::read_link(host.path(link)).ok());
    match target.and_then(|target| target.to_string_lossy().parse().ok()) {
        Some(path) => Ok(path),
        None => unchanged(format!("container '{name}' has no profile"), "name one with --profile"),
    }
}

/// Refuses a copy that would claim the same as the container.
fn cannot_share<T>(name: &MachineName, claims: &[Claim]) -> Result<T> {
    let all: Vec<String> = claims.iter().map(|claim| format!("{} ({})", claim.what, claim.option)).collect();
    unchanged(
        format!("container '{name}' has {}, which a copy cannot share", all.join(", ")),
        "give the copy others with --port or --set, or a build that has others with --profile",
    )
}
