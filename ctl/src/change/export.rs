//! Writes a container into an archive: its intent, the closure of its generation, and its state, which is that of a
//! stopped container or of a snapshot.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::{Event, Step};
use crate::base::exit::{refuse, under};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::time;
use crate::change::clone::{CopyWay, current_profile, way};
use crate::change::next::profile_folder;
use crate::change::settle;
use crate::fact::lookup::imperative;
use crate::host::archive::write::Writer;
use crate::host::archive::{Description, description};
use crate::host::new_file::{NewFile, refuse_existing};
use crate::host::state_directory;
use crate::host::subvolume::Btrfs;
use crate::nix::tool::Nix;

/// What an export wrote, or would write.
#[derive(Debug, Clone)]
pub(crate) struct Exported {
    /// The archive.
    pub(crate) file: PathBuf,
    /// Its size, once it is written.
    pub(crate) size: Option<u64>,
    /// The number of paths in the closure.
    pub(crate) paths: usize,
    /// How the state is read.
    pub(crate) way: CopyWay,
    /// The number of sockets and device nodes in the state, which are left out.
    pub(crate) left_out: u64,
}

/// Exports a container into a file.
pub(crate) fn export(host: &Host, name: &MachineName, file: &Path, dry_run: bool) -> Result<Exported> {
    let nix = Nix::find(host)?;
    let _lock = if dry_run { None } else { Some(settle::lock(host, name)?) };
    let draft = draft(host, &nix, name, file)?;
    if dry_run {
        return Ok(draft.exported);
    }
    let what = format!("container '{name}' was not exported");
    write(host, &nix, name, draft).map_err(|error| under(error, &what, "nothing was written"))
}

/// What is going to be written.
struct Draft {
    exported: Exported,
    description: Description,
    paths: Vec<String>,
    state: PathBuf,
}

fn draft(host: &Host, nix: &Nix, name: &MachineName, file: &Path) -> Result<Draft> {
    let loaded = host.load_one(name);
    let present: Intent = imperative(&loaded, name)?.clone();
    refuse_existing(file)?;
    let profile: StorePath = current_profile(host, name, &present, &profile_folder(host, name, &present))?;
    let state = state_directory::directory(host, name);
    let state = if state.is_symlink() {
        state.canonicalize().with_context(|| state.display().to_string())?
    } else {
        state
    };
    let way = way(host, name, &state)?;
    let paths = nix.requisites(&profile)?;
    let description =
        description(name, serde_json::to_value(&present)?, profile, time::utc(SystemTime::now()));
    let exported = Exported { file: file.to_owned(), size: None, paths: paths.len(), way, left_out: 0 };
    Ok(Draft { exported, description, paths, state })
}

fn write(host: &Host, nix: &Nix, name: &MachineName, draft: Draft) -> Result<Exported> {
    let Draft { mut exported, description, paths, state } = draft;
    let new = NewFile::create(&exported.file)?;
    let progress = |bytes| {
        let step = Some(Step::Writing { bytes });
        host.report(Event::Progress { name: name.clone(), step });
    };
    let mut archive =
        Writer::begin(std::io::BufWriter::with_capacity(1 << 20, new.file()), &description, &progress)?;
    failpoint("export-begun");
    nix.export(&paths, |closure| archive.closure(closure))?;
    failpoint("export-closure");
    match exported.way {
        CopyWay::Nothing => {}
        CopyWay::Files => {
            let _unused = state_directory::reserve(host, name)?;
            archive.state(&state)?;
        }
        CopyWay::Snapshot => {
            let snapshot = Frozen::make(host, name, &state)?;
            failpoint("export-snapshot");
            archive.state(&snapshot.place)?;
        }
    }
    exported.left_out = archive.left_out;
    let (size, out) = archive.end()?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    host.report(Event::Progress { name: name.clone(), step: None });
    exported.size = Some(size);
    exported.file = new.keep()?;
    Ok(exported)
}

/// A snapshot of the state, for as long as it is read.
struct Frozen<'a> {
    btrfs: Btrfs<'a>,
    place: PathBuf,
}

impl<'a> Frozen<'a> {
    /// Makes it, in place of one that a killed export has left. systemd-tmpfiles removes `.#*` at boot as well.
    fn make(host: &'a Host, name: &MachineName, state: &Path) -> Result<Self> {
        let btrfs = Btrfs::find(host)?;
        let place = host.machines().join(format!(".#{name}.export"));
        let Some(source) = btrfs.show(state)? else {
            return refuse(format!("{}: is not a subvolume", state.display()));
        };
        match btrfs.show(&place)? {
            Some(left) if left.parent.as_ref() == Some(&source.uuid) => btrfs.delete(&place)?,
            None if !place.is_symlink() && !place.exists() => {}
            _ => return refuse(format!("{}: is in the way; remove it", place.display())),
        }
        btrfs.snapshot(state, &place)?;
        Ok(Self { btrfs, place })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // The next export tries again.
        let _ = self.btrfs.delete(&self.place);
    }
}
