//! Finds the directories of the host that containers can write to, and where a link may therefore be theirs.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::read_dir;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::copies::{GENERATOR_DIRECTORY, NSPAWN_DIRECTORY};
use nixos_nspawn_units::plan::OWN_DIRECTORY;
use nixos_nspawn_units::syntax::parse;
use nixos_nspawn_units::syntax::words::bind_fields;
use rustix::fs::{AtFlags, CWD, Stat, statat};

/// The directories of the host that containers can write to: their roots, and the sources of writable bind mounts. They
/// are identified by device and inode, since a directory may have several paths, and read when the first link is found.
pub(crate) struct Exposed<'a> {
    root: &'a Path,
    known: OnceCell<BTreeSet<(u64, u64)>>,
}

impl<'a> Exposed<'a> {
    /// Returns the directories of the containers below `root`.
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, known: OnceCell::new() }
    }

    /// Returns whether containers can write to a directory.
    pub(crate) fn contains(&self, directory: &Stat) -> bool {
        self.known.get_or_init(|| self.read()).contains(&(directory.st_dev, directory.st_ino))
    }

    fn read(&self) -> BTreeSet<(u64, u64)> {
        let mut known = BTreeSet::new();
        let mut add = |path: &Path| {
            if let Ok(stat) = statat(CWD, path, AtFlags::NO_AUTOMOUNT) {
                known.insert((stat.st_dev, stat.st_ino));
            }
        };
        let entries =
            |path: PathBuf| read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        entries(self.root.join("var/lib/machines")).for_each(|path| add(&path));
        // A running container may have been started with other settings than are recorded now.
        let generated = self.root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY);
        let settings = entries(generated).chain(entries(self.root.join(NSPAWN_DIRECTORY)));
        for path in settings.filter(|path| path.extension().is_some_and(|kind| kind == "nspawn")) {
            let Ok(text) = std::fs::read(&path) else { continue };
            let Ok(parsed) = parse(&text) else { continue };
            let binds =
                parsed.file.values("Files", "Bind").filter_map(|value| Some(bind_fields(value).ok()?.source));
            let overlays =
                parsed.file.values("Files", "Overlay").flat_map(|value| value.split(':').map(str::to_owned));
            for source in binds.chain(overlays).filter(|source| source.starts_with('/')) {
                add(&self.root.join(source.trim_start_matches('/')));
            }
        }
        known
    }
}
