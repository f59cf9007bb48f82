//! The list of all writable mounts, from which `--prepare` learns what other containers can write to without reading the
//! settings of each.

use super::contents::{Entry, OWN_DIRECTORY, WRITABLE, file};
use crate::name::MachineName;
use crate::nspawn::is_writable_mount;
use systemd_unit_syntax::{Item, Section, UnitFile};

/// The writable mounts of the containers so far, in a section for each container.
pub(super) struct Writable(UnitFile);

impl Writable {
    /// Returns a list of none.
    pub(super) fn new() -> Self {
        let mut list = UnitFile::default();
        list.comment("Written by nixos-nspawn-generator(8): the writable mounts of all containers, for its unit helper.");
        Self(list)
    }

    /// Adds the mounts of a container's settings.
    pub(super) fn add(&mut self, name: &MachineName, nspawn: &UnitFile) {
        let files = nspawn.sections.iter().filter(|section| section.name == "Files");
        let writable = |item: &&Item| matches!(item, Item::Setting { key, .. } if is_writable_mount(key));
        let items: Vec<Item> = files.flat_map(|section| &section.items).filter(writable).cloned().collect();
        if !items.is_empty() {
            self.0.sections.push(Section { name: name.to_string().into(), items });
        }
    }

    /// Returns this list with the mounts of another one.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.0.sections.extend(other.0.sections);
        self
    }

    /// Returns the file; `None` if systemd's syntax cannot hold it.
    pub(super) fn file(mut self) -> Option<(String, Entry)> {
        self.0.sections.sort_by(|one, other| one.name.cmp(&other.name));
        Some((format!("{OWN_DIRECTORY}/{WRITABLE}"), file(&self.0).ok()?))
    }
}
