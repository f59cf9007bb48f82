//! Reads the root directory of a container that another program keeps. Its content is not trusted: links are followed within
//! it, and nothing in it decides what is read elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::resolve::open_resolved;
use nixos_nspawn_units::value::StorePath;
use rustix::fs::{OFlags, ResolveFlags, readlinkat};

use crate::base::exit::unchanged;
use crate::host::foreign_root::{DATABASE, open, plain};

/// The links that lead to the system of a NixOS root: its profile, and what a boot runs.
const LINKS: [&str; 2] = ["nix/var/nix/profiles/system", "sbin/init"];

/// Refuses what is not a directory.
pub(crate) fn check(root: &Path) -> Result<()> {
    match fs::metadata(root) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => {
            unchanged(format!("{}: is not a directory, so it cannot be a root here", root.display()), "")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let image = root
                .with_file_name(format!("{}.raw", root.file_name().unwrap_or_default().to_string_lossy()));
            match image.symlink_metadata() {
                Ok(_) => unchanged(
                    format!("{}: is an image, and only a directory can be a root here", image.display()),
                    format!("unpack it into {}", root.display()),
                ),
                Err(_) => unchanged(
                    format!("{}: does not exist, so there is no root", root.display()),
                    "move it there first",
                ),
            }
        }
        Err(error) => Err(error).with_context(|| root.display().to_string()),
    }
}

/// Returns the system of a root, or `None` if it is no NixOS.
pub(crate) fn system(root: &Path) -> Result<Option<StorePath>> {
    let directory = open(root)?;
    for link in LINKS {
        if let Some(system) = leads_to(&directory, link) {
            return Ok(Some(system));
        }
    }
    Ok(None)
}

/// Returns the system that runs in the namespaces of a process.
pub(crate) fn running_system(leader: &str) -> Option<StorePath> {
    let pid: u32 = leader.trim().parse().ok().filter(|pid| *pid > 1)?;
    leads_to(&open(Path::new(&format!("/proc/{pid}/root"))).ok()?, "run/current-system")
}

/// Returns whether the root has the path in a store of its own, and a database of Nix.
pub(crate) fn has_in_store(root: &Path, path: &StorePath) -> Result<bool> {
    let directory = open(root)?;
    let inside = path.as_str().trim_start_matches('/');
    Ok([inside, DATABASE].iter().all(|path| plain(&directory, path).is_ok()))
}

/// Follows links within a root until one names a path of the store, or its init.
fn leads_to(root: &OwnedFd, link: &str) -> Option<StorePath> {
    let mut path = PathBuf::from(link);
    for _ in 0..10 {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = open_resolved(root, path.as_os_str(), flags, ResolveFlags::IN_ROOT).ok()?;
        let target = readlinkat(found.as_fd(), "", Vec::new()).ok()?;
        let target = Path::new(OsStr::from_bytes(target.as_bytes())).to_owned();
        path = path.parent().map(|parent| parent.join(&target))?;
        let text = target.to_str()?;
        let system = text.strip_suffix("/init").unwrap_or(text);
        if let Ok(system) = system.parse::<StorePath>() {
            return Some(system);
        }
        if target.is_absolute() {
            path = target;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::store_path;

    fn root() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in ["nix/var/nix/profiles", "nix/var/nix/db", "nix/store", "sbin"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        folder
    }

    #[test]
    fn the_system_is_found_within_the_root() {
        let link = |folder: &tempfile::TempDir, target: &str, at: &str| {
            symlink(target, folder.path().join(at)).unwrap();
        };
        let one = store_path("one");
        let found = |folder: &tempfile::TempDir| system(folder.path()).unwrap().map(|path| path.to_string());
        let profile = root();
        assert_eq!(found(&profile), None);
        link(&profile, &format!("{one}/init"), "sbin/init");
        assert_eq!(found(&profile), Some(one.clone()));
        link(&profile, "system-2-link", "nix/var/nix/profiles/system");
        link(&profile, &store_path("two"), "nix/var/nix/profiles/system-2-link");
        assert_eq!(found(&profile), Some(store_path("two")));
        let init = root();
        link(&init, "/nix/var/nix/profiles/system/init", "sbin/init");
        assert_eq!(found(&init), None, "what is behind the profile is not there");
        // Neither an absolute link nor a circle leads out, or on for ever.
        for target in ["/etc/passwd", "../../../../../../../etc/hostname", "system"] {
            let folder = root();
            link(&folder, target, "nix/var/nix/profiles/system");
            assert_eq!(found(&folder), None, "{target}");
        }
    }

    #[test]
    fn a_store_has_a_database_and_no_links() {
        let folder = root();
        let path = store_path("one").parse().unwrap();
        assert!(!has_in_store(folder.path(), &path).unwrap());
        fs::create_dir_all(folder.path().join(&store_path("one")[1..])).unwrap();
        fs::write(folder.path().join("nix/var/nix/db/db.sqlite"), "").unwrap();
        assert!(has_in_store(folder.path(), &path).unwrap());
        fs::rename(folder.path().join("nix/var/nix/db"), folder.path().join("db")).unwrap();
        symlink("/db", folder.path().join("nix/var/nix/db")).unwrap();
        assert!(!has_in_store(folder.path(), &path).unwrap(), "a link could lead to the host's files");
    }

    #[test]
    fn a_root_is_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("web");
        let why = || check(&root).unwrap_err().to_string();
        assert!(why().contains("/web: does not exist, so there is no root"), "{}", why());
        fs::write(folder.path().join("web.raw"), "").unwrap();
        assert!(why().contains("/web.raw: is an image"), "{}", why());
        fs::write(&root, "").unwrap();
        assert!(why().contains("is not a directory"), "{}", why());
    }
}
