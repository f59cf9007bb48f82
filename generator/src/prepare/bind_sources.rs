//! Mounts the sources of bind mounts at places that only root can access, and puts those places into the settings. So
//! nspawn mounts what was checked, even if somebody changes the path meanwhile (docs/decisions/bind-sources.md).

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nixos_nspawn_units::copies::{binds_directory, remove_binds};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::files::{BINDS, bind_place};
use nixos_nspawn_units::nspawn::host_nix::is_locked;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};
use systemd_unit_syntax::escape::bind_field;
use systemd_unit_syntax::words::{BindFields, bind_fields};
use systemd_unit_syntax::{Item, UnitFile};

use crate::failure::Failure;
use crate::log::Log;
use crate::prepare::devices::is_copy;
use crate::prepare::exposed::Exposed;
use crate::prepare::locked::Lock;
use crate::prepare::mounts::{Mounts, mappable};
use crate::prepare::root_directory::beneath;
use crate::prepare::source;

/// Mounts the sources of all `Bind=` and `BindReadOnly=` lines, and rewrites these. Returns the read-only places, which
/// [`crate::prepare::locked`] can lock.
pub(crate) fn mount(
    root: &Path,
    name: &MachineName,
    file: &mut UnitFile,
    log: &Log,
) -> Result<Vec<Lock>, Failure> {
    let directory = binds_directory(root, name);
    // An interrupted start may have left mounts.
    remove_binds(root, name).map_err(|error| Failure::not_started(directory.display(), error, name, ""))?;
    let mut places = Places {
        root,
        name,
        exposed: Exposed::new(root),
        mounts: None,
        log,
        read_only: Vec::new(),
        number: 0,
    };
    for section in file.sections.iter_mut().filter(|section| section.name == "Files") {
        let mut items = Vec::with_capacity(section.items.len());
        for mut item in section.items.drain(..) {
            if let Item::Setting { key, value } = &mut item {
                if key == "Bind" || key == "BindReadOnly" {
                    if let Some((source, handed_over)) = places.handed_over(key == "BindReadOnly", value)? {
                        items.push(Item::Comment(format!("the source is {source}")));
                        *value = handed_over.into();
                    }
                }
            }
            items.push(item);
        }
        section.items = items;
    }
    Ok(places.read_only)
}

/// The places of a container's bind sources.
struct Places<'a> {
    root: &'a Path,
    name: &'a MachineName,
    exposed: Exposed<'a>,
    mounts: Option<Mounts>,
    log: &'a Log,
    read_only: Vec<Lock>,
    number: usize,
}

impl Places<'_> {
    /// Mounts the source of one line; returns the source and the line for nspawn, or `None` if the line can stay.
    fn handed_over(&mut self, read_only: bool, value: &str) -> Result<Option<(String, String)>, Failure> {
        let Ok(BindFields { source, destination, options }) = bind_fields(value) else { return Ok(None) };
        let name = self.name;
        if let Some(inside) = source.strip_prefix('+') {
            return self.check_inside(inside).map(|()| None);
        }
        // An empty source is a temporary directory.
        let own = is_copy(&source, name) || is_locked(&source, name);
        if own || !source.starts_with('/') {
            return Ok(None);
        }
        let at = self.root.join(source.trim_start_matches('/'));
        let failed = |reason: &str, next: &str| Failure::not_started(at.display(), reason, name, next);
        let failed_at = |error: io::Error| failed(&error.to_string(), "");
        let found = source::open(self.root, &source, false, &self.exposed)
            .map_err(|unusable| failed(&unusable.reason, unusable.next))?;
        let path = source::path_of(&found).map_err(failed_at)?;
        let chosen: Vec<&str> = options.iter().flat_map(|options| options.split(',')).collect();
        let recursive = !chosen.contains(&"norbind");
        if chosen.iter().any(|option| ["idmap", "rootidmap", "owneridmap"].contains(option)) {
            let mounts = match self.mounts.take() {
                Some(mounts) => mounts,
                None => Mounts::read(self.root).map_err(failed_at)?,
            };
            mappable(&path, recursive, name, self.mounts.insert(mounts), self.log)?;
        }
        // A directory that contains the places themselves, such as /run, would be mounted below itself. Only root can
        // replace it.
        if self.root.join(BINDS).starts_with(&path) {
            return Ok(None);
        }
        let place = bind_place(name.as_str(), self.number);
        self.number += 1;
        self.put(&found, recursive, &self.root.join(&place[1..])).map_err(failed_at)?;
        if read_only {
            let place = self.root.join(&place[1..]);
            self.read_only.push(Lock { path: place.clone(), place, follows: true });
        }
        let destination = bind_field(destination.as_deref().unwrap_or(&source))
            .map_err(|error| failed(&error.to_string(), ""))?;
        let options = options.map(|options| format!(":{options}")).unwrap_or_default();
        Ok(Some((source, format!("{place}:{destination}{options}"))))
    }

    /// Fails if a source inside the container's own root leads through a link, which nspawn would follow on the host.
    fn check_inside(&self, inside: &str) -> Result<(), Failure> {
        let machine = self.root.join("var/lib/machines").join(self.name.as_str());
        let at = machine.join(inside.trim_start_matches('/'));
        let above = openat(CWD, &machine, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let below = inside.trim_matches('/');
        let failed = |reason: &str, next: &str| Failure::not_started(at.display(), reason, self.name, next);
        let found = above
            .and_then(|above| beneath(&above, if below.is_empty() { "." } else { below }, OFlags::empty()));
        match found {
            Ok(_) => Ok(()),
            Err(Errno::NOENT) => {
                let reason = "bind mount source does not exist in the container's root";
                Err(failed(reason, "; create it"))
            }
            Err(Errno::LOOP | Errno::XDEV) => {
                let reason = "bind mount source leads through a symbolic link in the container's root";
                Err(failed(reason, "; use a path without links"))
            }
            Err(error) => Err(failed(&io::Error::from(error).to_string(), "")),
        }
    }

    /// Mounts an open file or directory at a new place.
    fn put(&self, found: &OwnedFd, recursive: bool, place: &Path) -> io::Result<()> {
        if let Some(directory) = place.parent() {
            // Others may read /run/nixos-nspawn, which also holds locks.
            directory.parent().and_then(Path::parent).map_or(Ok(()), fs::create_dir_all)?;
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        match FileType::from_raw_mode(fstat(found)?.st_mode) {
            FileType::Directory => fs::create_dir(place)?,
            _ => drop(File::create_new(place)?),
        }
        let mut flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
        let clone = open_tree(found, c"", flags)?;
        move_mount(clone, c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        // Later mounts of the host below the source appear here, but not the other way round.
        Ok(mount_change(place, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?)
    }
}
