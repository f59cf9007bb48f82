//! Finds the directories of the host that containers can write to, and where a link may therefore be theirs.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::read_dir;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nixos_nspawn_units::copies::{GENERATOR_DIRECTORY, NSPAWN_DIRECTORY, REFILL, generated};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::OWN_DIRECTORY;
use nixos_nspawn_units::store::{Trust, load};
use nixos_nspawn_units::syntax::parse;
use nixos_nspawn_units::syntax::words::bind_fields;
use rustix::fs::{AtFlags, CWD, Stat, statat};
use rustix::io::Errno;

/// The directories of the host that containers can write to: their roots, and the sources of writable bind mounts. They
/// are identified by device and inode, since a directory may have several paths, and read when the first link is found.
pub(crate) struct Exposed<'a> {
    root: &'a Path,
    known: OnceCell<Result<BTreeSet<(u64, u64)>, String>>,
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

fn read(root: &Path) -> Result<BTreeSet<(u64, u64)>, String> {
    let mut known = BTreeSet::new();
    let mut add = |path: &Path| match statat(CWD, path, AtFlags::NO_AUTOMOUNT) {
        Ok(stat) => {
            known.insert((stat.st_dev, stat.st_ino));
            Ok(())
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(unreadable(path, error.into())),
    };
    for path in entries(&root.join("var/lib/machines"))? {
        add(&path)?;
    }
    // A running container may have been started with other settings than are recorded now.
    let mut settings = planned(root)?;
    settings.extend(entries(&root.join(NSPAWN_DIRECTORY))?);
    for path in settings.iter().filter(|path| path.extension().is_some_and(|kind| kind == "nspawn")) {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            // Its container has stopped.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(path, error)),
        };
        let parsed = parse(&text).map_err(|error| unreadable(path, io::Error::other(error)))?;
        let binds =
            parsed.file.values("Files", "Bind").filter_map(|value| Some(bind_fields(value).ok()?.source));
        let overlays =
            parsed.file.values("Files", "Overlay").flat_map(|value| value.split(':').map(str::to_owned));
        for source in binds.chain(overlays).filter(|source| source.starts_with('/')) {
            add(&root.join(source.trim_start_matches('/')))?;
        }
    }
    Ok(known)
}

/// Returns the generated files. Waits until those of all intents are there: PID 1 empties the directory at each
/// daemon-reload.
fn planned(root: &Path) -> Result<Vec<PathBuf>, String> {
    let begin = Instant::now();
    loop {
        let found = entries(&root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY))?;
        let Some(missing) = unplanned(root, &found) else { return Ok(found) };
        if begin.elapsed() >= REFILL {
            return Err(format!("{} is missing", missing.display()));
        }
        sleep(Duration::from_millis(10));
    }
}

/// Returns the generated file of an intent that is not among those found, if there is one.
fn unplanned(root: &Path, found: &[PathBuf]) -> Option<PathBuf> {
    let loaded = load(root, Trust::default());
    let path = |name: &MachineName, ending: &str| generated(root, &format!("{name}.{ending}"));
    let there =
        |name: &MachineName| ["nspawn", "refused"].iter().any(|ending| found.contains(&path(name, ending)));
    let mut names: Vec<&MachineName> = loaded.intents.iter().map(|stored| &stored.name).collect();
    names.extend(loaded.errors.iter().filter_map(|error| error.name.as_ref()));
    names.into_iter().find(|name| !there(name)).map(|name| path(name, "nspawn"))
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
