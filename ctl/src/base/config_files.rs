//! Finds and reads the administrator's defaults files. They decide what runs as root: on the running system only
//! files that root owns are accepted, and only regular files of bounded size are read, so that no read blocks.

use std::ffi::OsStr;
use std::fs;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::fs::Dir;

use crate::base::exit::Failed;
use crate::base::tree::open_below;

/// The maximum size of a file.
const MAX_SIZE: u64 = 1024 * 1024;

/// The owners whose files are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Any owner, since whoever made an offline tree also made its files.
    Anybody,
    /// This user only, and only for files that nobody else can write to.
    Owner(u32),
}

/// Returns the paths and contents of the configuration files below `root`, in order of increasing precedence: the
/// main file, then `*.conf` in the drop-in directory.
pub(crate) fn read(
    root: &Path,
    [file, directory]: [&str; 2],
    trust: Trust,
) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut paths = vec![PathBuf::from(file)];
    paths.extend(drop_ins(root, Path::new(directory), trust)?);
    let mut files = Vec::new();
    for path in paths {
        let shown = below(root, &path);
        // As in systemd's directories, a link to /dev/null masks the file.
        if fs::read_link(&shown).is_ok_and(|target| target == Path::new("/dev/null")) {
            continue;
        }
        let Some(file) = open(root, &path)? else { continue };
        let bytes = content(file, &shown, trust)?;
        files.push((shown, bytes));
    }
    Ok(files)
}

/// Returns the drop-ins, sorted by name.
fn drop_ins(root: &Path, place: &Path, trust: Trust) -> Result<Vec<PathBuf>> {
    let shown = below(root, place);
    let Some(directory) = open(root, place)? else { return Ok(Vec::new()) };
    let unreadable = |error: std::io::Error| fault(&shown, format!("cannot be read: {error}"), None);
    let metadata = directory.metadata().map_err(unreadable)?;
    if !metadata.is_dir() {
        return Err(fault(&shown, "is not a directory", Some("remove it".to_owned())));
    }
    check_owner(&metadata, &shown, trust)?;
    let mut paths = Vec::new();
    for entry in Dir::read_from(&directory).map_err(|error| unreadable(error.into()))? {
        let entry = entry.map_err(|error| unreadable(error.into()))?;
        let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
        // A name that consists only of a dot and an extension has no extension.
        if name.extension() == Some(OsStr::new("conf")) && !name.as_os_str().as_bytes().starts_with(b".") {
            paths.push(place.join(name));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Opens a path of the system; returns `None` if it does not exist.
fn open(root: &Path, path: &Path) -> Result<Option<File>> {
    let shown = below(root, path);
    match open_below(root, path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(&shown) {
            Err(_) => Ok(None),
            Ok(target) => {
                let reason = format!("is a link to {}, which does not exist", target.display());
                Err(fault(&shown, reason, Some("remove the link, or create that file".to_owned())))
            }
        },
        // A socket, or a device without a driver.
        Err(error) if is_special(&error) => Err(not_regular(&shown)),
        Err(error) => {
            let sudo =
                (error.kind() == ErrorKind::PermissionDenied).then(|| "try again with sudo".to_owned());
            Err(fault(&shown, format!("cannot be read: {error}"), sudo))
        }
    }
}

fn is_special(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NXIO | Errno::NODEV))
}

/// Reads a file after checking owner, mode and size.
fn content(file: File, shown: &Path, trust: Trust) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| fault(shown, format!("cannot be read: {error}"), None);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(not_regular(shown));
    }
    check_owner(&metadata, shown, trust)?;
    let mut bytes = Vec::new();
    // It may grow while it is being read.
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        let reason = format!("is larger than {} KiB", MAX_SIZE / 1024);
        return Err(fault(shown, reason, Some("shorten it".to_owned())));
    }
    Ok(bytes)
}

fn check_owner(metadata: &Metadata, shown: &Path, trust: Trust) -> Result<()> {
    let Trust::Owner(owner) = trust else { return Ok(()) };
    let path = shown.display();
    if metadata.uid() != owner {
        let reason = format!("belongs to user {}, not to root", metadata.uid());
        return Err(fault(shown, reason, Some(format!("check it, then run 'chown root {path}'"))));
    }
    if metadata.mode() & 0o022 != 0 {
        let reason = format!("is writable by others (mode {:04o})", metadata.mode() & 0o7777);
        return Err(fault(shown, reason, Some(format!("check it, then run 'chmod go-w {path}'"))));
    }
    Ok(())
}

fn not_regular(shown: &Path) -> anyhow::Error {
    fault(shown, "is not a regular file", Some("remove it".to_owned()))
}

fn fault(shown: &Path, reason: impl std::fmt::Display, remedy: Option<String>) -> anyhow::Error {
    Failed::unchanged(format!("{}: {reason}", shown.display()), remedy.unwrap_or_default()).into()
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::base::scope::Scope;

    /// Returns a tree, the path of its main file, and a trust that accepts its files.
    fn tree() -> (tempfile::TempDir, PathBuf, Trust) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/nixos-nspawn.conf.d")).unwrap();
        let path = root.path().join("etc/nixos-nspawn.conf");
        (root, path, Trust::Owner(rustix::process::geteuid().as_raw()))
    }

    fn message(root: &Path, trust: Trust) -> String {
        super::read(root, Scope::SYSTEM.defaults, trust).unwrap_err().to_string()
    }

    #[test]
    fn later_files_override_earlier_ones() {
        let (root, path, trust) = tree();
        let folder = root.path().join("etc/nixos-nspawn.conf.d");
        let names = ["20-b.conf", "10-a.conf", ".hidden.conf", "readme", "30-link.conf"];
        for name in names {
            fs::write(folder.join(name), name).unwrap();
        }
        let read = || -> Vec<String> {
            let files = super::read(root.path(), Scope::SYSTEM.defaults, trust).unwrap();
            files.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
        };
        assert_eq!(read(), ["10-a.conf", "20-b.conf", "30-link.conf"]);
        fs::write(&path, "first").unwrap();
        // Links resolve within the tree.
        fs::remove_file(folder.join("30-link.conf")).unwrap();
        fs::write(root.path().join("etc/linked"), "linked").unwrap();
        symlink("/etc/linked", folder.join("30-link.conf")).unwrap();
        // A link to /dev/null masks a drop-in.
        fs::remove_file(folder.join("10-a.conf")).unwrap();
        symlink("/dev/null", folder.join("10-a.conf")).unwrap();
        assert_eq!(read(), ["first", "20-b.conf", "linked"]);
    }

    #[test]
    fn special_files_are_refused_without_blocking() {
        let (root, path, trust) = tree();
        let shown = path.display().to_string();
        let refused = format!("{shown}: is not a regular file, nothing was changed; remove it");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert_eq!(message(root.path(), trust), refused);
        assert_eq!(message(root.path(), Trust::Anybody), refused);
        fs::remove_file(&path).unwrap();
        let socket = UnixListener::bind(&path).unwrap();
        assert_eq!(message(root.path(), trust), refused);
        drop(socket);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(message(root.path(), trust), refused);
        fs::remove_dir(&path).unwrap();
        symlink("/nowhere", &path).unwrap();
        let dangling = "is a link to /nowhere, which does not exist, nothing was changed; remove the link, or create that file";
        assert_eq!(message(root.path(), trust), format!("{shown}: {dangling}"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, vec![b'#'; 1024 * 1024]).unwrap();
        assert_eq!(super::read(root.path(), Scope::SYSTEM.defaults, trust).unwrap().len(), 1);
        fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        let large = "is larger than 1024 KiB, nothing was changed; shorten it";
        assert_eq!(message(root.path(), trust), format!("{shown}: {large}"));
        fs::remove_file(&path).unwrap();
        let folder = root.path().join("etc/nixos-nspawn.conf.d");
        fs::remove_dir(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        let no_directory =
            format!("{}: is not a directory, nothing was changed; remove it", folder.display());
        assert_eq!(message(root.path(), trust), no_directory);
    }

    #[test]
    fn only_files_of_the_owner_are_trusted() {
        let (root, path, trust) = tree();
        let folder = root.path().join("etc/nixos-nspawn.conf.d");
        let own = rustix::process::geteuid().as_raw();
        let other = Trust::Owner(own + 1);
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for shown in [&folder, &path, &folder.join("a.conf")] {
            if *shown != folder {
                fs::write(shown, "").unwrap();
            }
            mode(shown, 0o775);
            let writable =
                "is writable by others (mode 0775), nothing was changed; check it, then run 'chmod go-w ";
            let shown_text = shown.display();
            assert_eq!(message(root.path(), trust), format!("{shown_text}: {writable}{shown_text}'"));
            assert!(super::read(root.path(), Scope::SYSTEM.defaults, Trust::Anybody).is_ok());
            mode(shown, 0o755);
            assert!(super::read(root.path(), Scope::SYSTEM.defaults, trust).is_ok());
        }
        let foreign = format!(
            "belongs to user {own}, not to root, nothing was changed; check it, then run 'chown root "
        );
        let shown = folder.display();
        assert_eq!(message(root.path(), other), format!("{shown}: {foreign}{shown}'"));
        fs::remove_dir_all(&folder).unwrap();
        let shown = path.display();
        assert_eq!(message(root.path(), other), format!("{shown}: {foreign}{shown}'"));
    }
}
