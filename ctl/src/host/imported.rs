//! What an import has moved out of the way of another program, so that it can be moved back: part of the record while the
//! import runs, and a hidden file beside the intents after it.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::AbsolutePath;
use serde::{Deserialize, Serialize};

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::host::files::{is_there, read_small, remove_file, rename_new, sync_directory, write_file};

/// The program that a container is imported from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) enum Tool {
    /// nixos-container of nixpkgs.
    NixosContainer,
    /// python-nixos-nspawn.
    PythonNixosNspawn,
    /// systemd-nspawn itself, with a `.nspawn` file that somebody has written.
    Nspawn,
}

impl Tool {
    /// Returns the name of the program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::NixosContainer => "nixos-container",
            Self::PythonNixosNspawn => "python-nixos-nspawn",
            Self::Nspawn => "systemd-nspawn",
        }
    }
}

/// What an import moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Imported {
    /// The program.
    pub(crate) tool: Tool,
    /// Files and directories, in the order in which they are moved.
    pub(crate) moves: Vec<Move>,
    /// The other program's state, if it was copied, and so is still there.
    #[serde(default)]
    pub(crate) copied_from: Option<PathBuf>,
}

/// A file or directory that is moved, as paths of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// Where it was.
    pub(crate) from: PathBuf,
    /// Its inode, which it keeps.
    pub(crate) inode: u64,
    /// Whether it becomes the container's state; anything else is renamed in its directory.
    pub(crate) state: bool,
}

/// The ending of what was moved out of the way.
const ASIDE: &str = ".imported";

impl Move {
    /// Returns the move of a path, or `None` if there is nothing.
    pub(crate) fn of(host: &Host, from: &Path, state: bool) -> Result<Option<Self>> {
        match fs::symlink_metadata(host.path(from)) {
            Ok(found) => Ok(Some(Self { from: from.to_owned(), inode: found.ino(), state })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| from.display().to_string()),
        }
    }

    /// Returns where it is moved.
    pub(crate) fn to(&self, host: &Host, name: &MachineName) -> PathBuf {
        if self.state {
            return Path::new(host.scope.machines).join(name.as_str());
        }
        let mut file = OsString::from(self.from.file_name().unwrap_or_default());
        file.push(ASIDE);
        self.from.with_file_name(file)
    }

    /// Moves it. Returns false if that needs a copy, since it is on another file system.
    pub(crate) fn carry_out(&self, host: &Host, name: &MachineName) -> Result<bool> {
        rename(&host.path(&self.from), &host.path(self.to(host, name)))
    }

    /// Moves it back, if it was moved. What has the same name but is something else stays.
    pub(crate) fn take_back(&self, host: &Host, name: &MachineName) -> Result<()> {
        let (from, to) = (host.path(&self.from), host.path(self.to(host, name)));
        if !self.is_at(&to)? {
            return Ok(());
        }
        if is_there(&from)? {
            let both = format!("{}: exists, so {} cannot be moved back", from.display(), to.display());
            return Err(Failed::refused(format!("{both}; move the former away, then try again")).into());
        }
        if !rename(&to, &from)? {
            let where_to = from.display();
            return Err(Failed::refused(format!(
                "{}: is not on the file system of {where_to}",
                to.display()
            ))
            .into());
        }
        Ok(())
    }

    /// Returns whether it is at this path.
    pub(crate) fn is_at(&self, path: &Path) -> Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(found) => Ok(found.ino() == self.inode),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }
}

/// Renames durably, and replaces nothing. Returns false if the file systems differ.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<bool> {
    match rename_new(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::CrossesDevices => return Ok(false),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("{}: cannot be renamed to {}", from.display(), to.display()));
        }
    }
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        sync_directory(folder)?;
    }
    Ok(true)
}

impl Imported {
    /// Returns whether all paths are plain and absolute.
    pub(crate) fn is_plain(&self) -> bool {
        let mut paths = self.moves.iter().map(|one| &one.from).chain(&self.copied_from);
        paths.all(|path| path.to_str().is_some_and(|text| text.parse::<AbsolutePath>().is_ok()))
    }

    /// Returns whether this path is moved out of the way.
    pub(crate) fn moves_away(&self, path: &Path) -> bool {
        self.moves.iter().any(|one| !one.state && one.from == path)
    }

    /// Returns whether this path is one that is moved out of the way, but is in its place: not moved yet, or given back.
    pub(crate) fn has_back(&self, host: &Host, path: &Path) -> Result<bool> {
        match self.moves.iter().find(|one| !one.state && one.from == path) {
            Some(one) => one.is_at(&host.path(path)),
            None => Ok(false),
        }
    }

    /// Writes the note that later undoes the import.
    pub(crate) fn note(&self, host: &Host, name: &MachineName) -> Result<()> {
        write_file(&note(host, name), serde_json::to_string(self)?.as_bytes(), 0o600)
    }

    /// Reads the note of a container, if it was imported.
    pub(crate) fn of(host: &Host, name: &MachineName) -> Result<Option<Self>> {
        let path = note(host, name);
        let bytes = match read_small(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        };
        let imported: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: is not a note of this version of nixos-nspawn", path.display()))?;
        if fs::symlink_metadata(&path)?.uid() != host.scope.owner || !imported.is_plain() {
            return Err(Failed::unchanged(format!("{}: is not root's", path.display()), "").into());
        }
        Ok(Some(imported))
    }
}

/// Returns the path of the note on an import of this name, if there is one.
pub(crate) fn note_of(host: &Host, name: &MachineName) -> Result<Option<PathBuf>> {
    let path = note(host, name);
    Ok(is_there(&path)?.then_some(path))
}

/// Removes the note.
pub(crate) fn remove_note(host: &Host, name: &MachineName) -> Result<()> {
    remove_file(&note(host, name))
}

fn note(host: &Host, name: &MachineName) -> PathBuf {
    host.intents().join(format!(".{name}{ASIDE}"))
}
