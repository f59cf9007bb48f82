//! Finds the directories of the host that containers can write to, and where a link may therefore be theirs.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::read_dir;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nixos_nspawn_units::copies::{GENERATOR_DIRECTORY, NSPAWN_DIRECTORY, runs};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::nspawn_file;
use nixos_nspawn_units::plan::OWN_DIRECTORY;
use nixos_nspawn_units::store::{Trust, load};
use rustix::fs::{AtFlags, CWD, Stat, statat};
use systemd_unit_syntax::words::bind_fields;
use systemd_unit_syntax::{UnitFile, parse};

/// The directories of the host that containers can write to: their roots, and the sources of writable bind mounts. They
/// are identified by device and inode, since a directory may have several paths, and read when the first link is found.
pub(crate) struct Exposed<'a> {
    root: &'a Path,
    known: OnceCell<Result<BTreeSet<Identity>, String>>,
}

impl<'a> Exposed<'a> {
    /// Returns the directories of the containers below `root`.
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, known: OnceCell::new() }
    }

    /// Returns whether containers can write to a directory; an error if that cannot be told.
    pub(crate) fn contains(&self, directory: &Stat) -> Result<bool, String> {
        let known = self.known.get_or_init(|| read(self.root)).as_ref().map_err(String::clone)?;
        Ok(known.contains(&(directory.st_dev, directory.st_ino)))
    }
}

/// The device and inode of a directory.
type Identity = (u64, u64);

/// Returns what identifies a directory. What root cannot look at is none of the directories that have been opened.
fn identity(path: &Path) -> Option<Identity> {
    statat(CWD, path, AtFlags::NO_AUTOMOUNT).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn read(root: &Path) -> Result<BTreeSet<Identity>, String> {
    let roots = entries(&root.join("var/lib/machines"))?;
    let mut known: BTreeSet<Identity> = roots.iter().filter_map(|path| identity(path)).collect();
    known.extend(sources(root, |_| true)?);
    Ok(known)
}

/// Returns the directories that other containers can write to through bind mounts.
pub(crate) fn writable_by_others(root: &Path, name: &MachineName) -> Result<BTreeSet<Identity>, String> {
    sources(root, |other| other != name.as_str())
}

/// Returns the sources of writable mounts of the containers whose names are wanted.
fn sources(root: &Path, wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<Identity>, String> {
    let files = settings(root)?;
    let files = files.iter().filter(|(name, _)| wanted(name));
    let paths = files.flat_map(|(_, file)| writable_sources(file));
    Ok(paths.filter_map(|source| identity(&root.join(source.trim_start_matches('/')))).collect())
}

/// Returns the settings of all containers with their names: as recorded, as the generator wrote them, and as running
/// containers were started. They differ until a reload and a restart, and the generator's directory is empty during a
/// reload.
fn settings(root: &Path) -> Result<Vec<(String, UnitFile)>, String> {
    let loaded = load(root, Trust::default());
    let recorded = loaded
        .intents
        .iter()
        .filter_map(|stored| Some((stored.name.to_string(), nspawn_file(&stored.intent).ok()?)));
    let mut files: Vec<(String, UnitFile)> = recorded.collect();
    let is_settings = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "nspawn");
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for path in
        entries(&root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY))?.iter().filter(|path| is_settings(path))
    {
        files.extend(parsed(path)?.map(|file| (name(path), file)));
    }
    for path in entries(&root.join(NSPAWN_DIRECTORY))?.iter().filter(|path| is_settings(path)) {
        match parsed(path) {
            Ok(file) => files.extend(file.map(|file| (name(path), file))),
            // Nobody can write with the settings of a container that is stopped.
            Err(error) if may_run(root, path) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(files)
}

/// Returns whether the container of a settings file may be running.
fn may_run(root: &Path, settings: &Path) -> bool {
    let name = settings.file_stem().and_then(|name| name.to_str()?.parse().ok());
    name.is_none_or(|name| runs(root, &name))
}

/// Returns a settings file, or `None` if it has been removed meanwhile.
fn parsed(path: &Path) -> Result<Option<UnitFile>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    let parsed = parse(&text).map_err(|error| unreadable(path, io::Error::other(error)))?;
    Ok(Some(parsed.file))
}

/// Returns the sources of the writable mounts that these settings make.
fn writable_sources(file: &UnitFile) -> impl Iterator<Item = String> {
    let binds = file.values("Files", "Bind").filter_map(|value| Some(bind_fields(value).ok()?.source));
    let overlays = file.values("Files", "Overlay").flat_map(|value| value.split(':').map(str::to_owned));
    binds.chain(overlays).filter(|source| source.starts_with('/'))
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = match read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(directory, error)),
    };
    entries.map(|entry| Ok(entry.map_err(|error| unreadable(directory, error))?.path())).collect()
}

fn unreadable(path: &Path, error: io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
