//! Finds host directories that containers can write to, so that links in them are not trusted.

mod changed;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::{File, Metadata, read_dir};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nixos_nspawn_units::copies::{GENERATOR_DIRECTORY, NSPAWN_DIRECTORY, runs};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::{is_writable_mount, nspawn_file};
use nixos_nspawn_units::plan::{OWN_DIRECTORY, WRITABLE};
use nixos_nspawn_units::store::{Loaded, Trust, load, load_some};
use rustix::fs::{AtFlags, CWD, Stat, statat};
use systemd_unit_syntax::words::{bind_fields, fields};
use systemd_unit_syntax::{Section, UnitFile, parse};

use changed::changed;

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
    known.extend(sources(root, Trust::default(), |_| true)?);
    Ok(known)
}

/// Returns the directories that other containers can write to through bind mounts.
pub(crate) fn writable_by_others(root: &Path, name: &MachineName) -> Result<BTreeSet<Identity>, String> {
    sources(root, Trust::default(), |other| other != name.as_str())
}

/// Returns the sources of writable mounts of the containers whose names are wanted: as recorded, as the generator planned
/// them, and as running containers were started. They differ until a reload and a restart. A container whose intent is
/// refused can only be running.
fn sources(root: &Path, trust: Trust, wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<Identity>, String> {
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let mut add = |name: &str, file: &UnitFile| {
        if wanted(name) {
            paths.extend(writable_sources(file));
        }
    };
    let changed = match planned(root)? {
        // What the generator has planned is in one file, so that a start takes no longer if there are many containers.
        Some((list, metadata)) => {
            for Section { name, items } in list.sections {
                let files = Section { name: "Files".into(), items };
                add(&name, &UnitFile { header: Vec::new(), sections: vec![files] });
            }
            changed(root, &metadata, SystemTime::now())
        }
        // PID 1 is refilling the generator's directory, or the generator could not read or plan all containers.
        None => {
            for path in settings(&root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY))? {
                parsed(&path)?.iter().for_each(|file| add(&name_of(&path), file));
            }
            None
        }
    };
    let recorded = match &changed {
        Some(names) if names.is_empty() => Loaded::default(),
        Some(names) => load_some(root, trust, &|name| names.contains(name)),
        None => load(root, trust),
    };
    for stored in &recorded.intents {
        if let Ok(file) = nspawn_file(&stored.intent) {
            add(stored.name.as_str(), &file);
        }
    }
    for path in settings(&root.join(NSPAWN_DIRECTORY))? {
        match parsed(&path) {
            Ok(file) => file.iter().for_each(|file| add(&name_of(&path), file)),
            // Nobody can write with the settings of a container that is stopped.
            Err(error) if may_run(root, &path) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(paths.iter().filter_map(|source| identity(&root.join(source.trim_start_matches('/')))).collect())
}

/// Returns the generator's list of writable mounts, a section for each container, and its metadata; `None` if it is missing
/// or cannot be used.
fn planned(root: &Path) -> Result<Option<(UnitFile, Metadata)>, String> {
    let path = root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY).join(WRITABLE);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|mut file| {
        file.read_to_end(&mut text)?;
        file.metadata()
    });
    match read {
        Ok(metadata) => Ok(parse(&text).ok().map(|parsed| (parsed.file, metadata))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, error)),
    }
}

/// Returns the settings files in a directory.
fn settings(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = entries(directory)?;
    files.retain(|path| path.extension().is_some_and(|kind| kind == "nspawn"));
    Ok(files)
}

fn name_of(settings: &Path) -> String {
    settings.file_stem().unwrap_or_default().to_string_lossy().into_owned()
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
    let mounts = file.settings().filter(|(section, key, _)| *section == "Files" && is_writable_mount(key));
    let sources = mounts.flat_map(|(_, key, value)| match key {
        "Overlay" => fields(value).unwrap_or_default(),
        _ => bind_fields(value).map(|bind| vec![bind.source]).unwrap_or_default(),
    });
    sources.filter(|source| source.starts_with('/'))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The generator's list stands for the settings of each container; while it is missing, these are read.
    #[test]
    fn the_list_stands_for_the_settings() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-exposed-{}", std::process::id()));
        let folder = root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY);
        for folder in [&folder, &root.join("srv/db"), &root.join("srv/web"), &root.join("srv/old")] {
            fs::create_dir_all(folder).unwrap();
        }
        let settings = |name: &str| format!("[Files]\nBindReadOnly=/srv/old\nBind=/srv/{name}:/srv:idmap\n");
        fs::write(folder.join("web.nspawn"), settings("web")).unwrap();
        let found = |wanted: &str| -> Vec<&str> {
            let found = sources(&root, Trust::default(), |name| name == wanted).unwrap();
            let is_found = |name: &&str| found.contains(&identity(&root.join("srv").join(name)).unwrap());
            ["db", "web", "old"].into_iter().filter(is_found).collect()
        };
        assert_eq!((found("web"), found("db")), (vec!["web"], vec![]));
        fs::write(folder.join(WRITABLE), "# text\n\n[db]\nBind=/srv/db:/srv\nOverlay=/srv/db:/srv/web:/x\n")
            .unwrap();
        assert_eq!((found("web"), found("db")), (vec![], vec!["db", "web"]));
        // A running container has the settings that it was started with.
        fs::create_dir_all(root.join(NSPAWN_DIRECTORY)).unwrap();
        fs::write(root.join(NSPAWN_DIRECTORY).join("db.nspawn"), settings("old")).unwrap();
        assert_eq!(found("db"), ["db", "web", "old"]);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn all_directories_of_writable_mounts() {
        let text = r"[Files]
Bind=/a:/x:norbind
Bind=/b\:c
Bind=+/own:/y
Bind=:/temporary
BindReadOnly=/d
Overlay=/e:/f\:g:/h
Overlay=+/own:+/own:/z
OverlayReadOnly=/i:/j
[X-Files]
Bind=/k
";
        let file = parse(text.as_bytes()).unwrap().file;
        assert_eq!(writable_sources(&file).collect::<Vec<_>>(), ["/a", "/b:c", "/e", "/f:g", "/h", "/z"]);
    }

    /// The list and an intent that is newer count both, and so does the intent of a container that is not in the list.
    #[test]
    fn an_old_list_and_new_intents_add_up() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-exposed-new-{}", std::process::id()));
        let planned = root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY);
        let recorded = root.join("etc/nixos-nspawn");
        for folder in
            [&planned, &recorded, &root.join("srv/db"), &root.join("srv/web"), &root.join("srv/new")]
        {
            fs::create_dir_all(folder).unwrap();
        }
        let write = |name: &str, source: &str| {
            let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-a";
            let options = format!(r#"{{"bindMounts":["/srv/{source}:/srv"]}}"#);
            let text = format!(r#"{{"version":1,"toplevel":"{toplevel}","container":{options}}}"#);
            fs::write(recorded.join(format!("{name}.json")), text).unwrap();
        };
        write("db", "db");
        let list = planned.join(WRITABLE);
        let trust = Trust { also: Some(rustix::process::geteuid().as_raw()) };
        let found = |began: SystemTime| -> Vec<&str> {
            fs::write(&list, "[web]\nBind=/srv/web:/srv:idmap\n").unwrap();
            File::options().write(true).open(&list).unwrap().set_modified(began).unwrap();
            let found = sources(&root, trust, |_| true).unwrap();
            let is_found = |name: &&str| found.contains(&identity(&root.join("srv").join(name)).unwrap());
            ["db", "web", "new"].into_iter().filter(is_found).collect()
        };
        assert_eq!(found(SystemTime::now()), ["db", "web"]);
        write("web", "new");
        assert_eq!(found(SystemTime::now()), ["db", "web", "new"]);
        // The directory has changed since, so everything is read.
        assert_eq!(found(SystemTime::UNIX_EPOCH), ["db", "web", "new"]);
        fs::remove_dir_all(&root).unwrap();
    }
}
