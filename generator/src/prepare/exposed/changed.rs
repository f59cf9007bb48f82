//! Finds the intents that may have been changed since the generator read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DECLARATIVE_DIRECTORY, DIRECTORY};

/// The seconds by which a file may be older than the generator's run and still count as changed: the kernel's stamps lag
/// behind its clock by milliseconds, and some file systems keep whole seconds.
const SLACK: i64 = 1;

/// The maximum number of links that lead to each other, as in the kernel.
const MOST_LINKS: u8 = 40;

/// Returns the containers whose intents are not older than the generator's run, whose begin is the time of its list; `None`
/// if that cannot be told, since the clock has been set back, or files have come or gone since.
pub(super) fn changed(root: &Path, list: &Metadata, now: SystemTime) -> Option<BTreeSet<MachineName>> {
    let now = now.duration_since(UNIX_EPOCH).ok()?;
    // The clock has been set back.
    if i64::try_from(now.as_secs()).ok()? < list.mtime() {
        return None;
    }
    let mut links = Links { limit: list.mtime() - SLACK, known: BTreeMap::new() };
    let mut found = BTreeSet::new();
    for directory in [DIRECTORY, DECLARATIVE_DIRECTORY] {
        let directory = root.join(directory.trim_start_matches('/'));
        let (entries, folder) = match (fs::read_dir(&directory), fs::metadata(&directory)) {
            (Ok(entries), Ok(folder)) => (entries, folder),
            (Err(error), _) if error.kind() == ErrorKind::NotFound => continue,
            _ => return None,
        };
        // A file that has been moved there may have kept its times. There is no slack, since `create` changes the directory
        // right before the generator runs; what comes at that very moment is found as a new file.
        if (folder.ctime(), folder.ctime_nsec()) > (list.mtime(), list.mtime_nsec()) {
            return None;
        }
        let linked = fs::symlink_metadata(&directory).map_or(true, |found| found.is_symlink());
        for entry in entries {
            let entry = entry.ok()?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok())
            else {
                continue;
            };
            let file = entry.metadata().ok()?;
            let newer = match linked || file.is_symlink() {
                true => links.changed(&entry.path(), 0),
                false => links.newer(&file),
            };
            if newer {
                found.insert(name);
            }
        }
    }
    Some(found)
}

/// Follows links, as NixOS fills /etc with: one that has been replaced may lead to an old file.
struct Links {
    /// The time from which on a file or a link has changed, in seconds.
    limit: i64,
    /// The paths that were looked at, and whether they have changed.
    known: BTreeMap<PathBuf, bool>,
}

impl Links {
    fn newer(&self, file: &Metadata) -> bool {
        file.ctime().max(file.mtime()) >= self.limit
    }

    /// Returns whether a file has changed, or a link on the way to it.
    fn changed(&mut self, path: &Path, depth: u8) -> bool {
        let parts: Vec<&Path> = path.ancestors().collect();
        parts.into_iter().rev().any(|part| {
            if let Some(known) = self.known.get(part) {
                return *known;
            }
            let changed = match fs::symlink_metadata(part) {
                Err(_) => true,
                Ok(found) if found.is_dir() => false,
                Ok(found) if self.newer(&found) || depth == MOST_LINKS => true,
                Ok(found) if found.is_symlink() => match (fs::read_link(part), part.parent()) {
                    (Ok(target), Some(above)) => self.changed(&above.join(target), depth + 1),
                    _ => true,
                },
                Ok(_) => false,
            };
            self.known.insert(part.to_owned(), changed);
            changed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    /// Only what is as new as the generator's run has changed; the ctime of a file cannot be set, so the run was earlier or
    /// later instead.
    #[test]
    fn files_and_links_that_have_changed() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-changed-{}", std::process::id()));
        let folder = root.join(&DECLARATIVE_DIRECTORY[1..]);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("static")).unwrap();
        fs::write(root.join("etc/nixos-nspawn/web.json"), "{}").unwrap();
        fs::write(root.join("etc/nixos-nspawn/host.json"), "{}").unwrap();
        fs::write(root.join("static/db.json"), "{}").unwrap();
        symlink(root.join("static/db.json"), folder.join("db.json")).unwrap();
        symlink("nowhere", folder.join("gone.json")).unwrap();
        let made = fs::metadata(&folder).unwrap().modified().unwrap();
        let names = |began: SystemTime, now: SystemTime| -> Option<Vec<String>> {
            let output = File::create(root.join("output")).unwrap();
            output.set_modified(began).unwrap();
            let found = changed(&root, &output.metadata().unwrap(), now)?;
            Some(found.iter().map(MachineName::to_string).collect())
        };
        let second = Duration::from_secs(1);
        let all = Some(["db", "gone", "web"].map(str::to_owned).to_vec());
        assert_eq!(names(made, made), all, "they may have been read before");
        assert_eq!(names(made + second, made + second), all);
        // Of a link that leads nowhere, nothing is known.
        let later = made + 3 * second;
        assert_eq!(names(later, later).unwrap(), ["gone"], "older files have not changed");
        assert_eq!(names(made - second, made), None, "the directories have changed");
        assert_eq!(names(later, made), None, "the clock has been set back");
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(changed(&root, &fs::metadata("/").unwrap(), SystemTime::now()), Some(BTreeSet::new()));
    }

    #[test]
    fn a_link_that_is_replaced_has_changed() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-links-{}", std::process::id()));
        fs::create_dir_all(root.join("old")).unwrap();
        fs::write(root.join("old/a.json"), "{}").unwrap();
        symlink("old", root.join("static")).unwrap();
        symlink("static/a.json", root.join("a.json")).unwrap();
        let stamp = fs::symlink_metadata(root.join("a.json")).unwrap().ctime();
        let changed = |limit: i64| Links { limit, known: BTreeMap::new() }.changed(&root.join("a.json"), 0);
        assert!(!changed(stamp + 60) && changed(stamp));
        symlink("loop", root.join("loop")).unwrap();
        assert!(Links { limit: stamp + 60, known: BTreeMap::new() }.changed(&root.join("loop"), 0));
        fs::remove_dir_all(&root).unwrap();
    }
}
