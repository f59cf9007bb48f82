//! A file that appears under its name when it is complete. If the program is killed before, nothing is left of it, unless
//! the file system has no unnamed files.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use tempfile::NamedTempFile;

use crate::base::exit::unchanged;
use crate::host::files::{is_there, sync_directory};

/// A new file that only root can read.
pub(crate) struct NewFile {
    path: PathBuf,
    folder: PathBuf,
    file: Unnamed,
}

enum Unnamed {
    /// It has no name yet.
    Yes(File),
    /// It has another name.
    No(NamedTempFile),
}

impl NewFile {
    /// Makes one. A file that exists is not replaced.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        refuse_existing(path)?;
        let path = std::path::absolute(path)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let cannot = || format!("{}: cannot be written", path.display());
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = match openat(CWD, &folder, flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => Unnamed::Yes(file.into()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
                Unnamed::No(NamedTempFile::new_in(&folder).with_context(cannot)?)
            }
            Err(error) => return Err(error).with_context(cannot),
        };
        Ok(Self { path, folder, file })
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &File {
        match &self.file {
            Unnamed::Yes(file) => file,
            Unnamed::No(file) => file.as_file(),
        }
    }

    /// Gives it its name, durably. Returns its path.
    pub(crate) fn keep(self) -> Result<PathBuf> {
        let Self { path, folder, file } = self;
        let cannot = || format!("{}: cannot be written", path.display());
        match file {
            Unnamed::Yes(file) => {
                file.sync_all().with_context(cannot)?;
                let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
                linkat(CWD, unnamed.as_str(), CWD, &path, AtFlags::SYMLINK_FOLLOW)
                    .map_err(io::Error::from)
                    .with_context(cannot)?;
            }
            Unnamed::No(file) => {
                file.as_file()
                    .set_permissions(std::fs::Permissions::from_mode(0o600))
                    .with_context(cannot)?;
                file.as_file().sync_all().with_context(cannot)?;
                file.persist_noclobber(&path).map_err(|error| error.error).with_context(cannot)?;
            }
        }
        sync_directory(&folder)?;
        Ok(path)
    }
}

/// Refuses to replace a file.
pub(crate) fn refuse_existing(path: &Path) -> Result<()> {
    match is_there(path)? {
        true => unchanged(format!("{}: already exists", path.display()), "name another file with -o"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn it_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for keep in [false, true] {
            let new = NewFile::create(&path).unwrap();
            new.file().write_all(b"x").unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            if keep {
                assert_eq!(new.keep().unwrap(), path);
            }
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(NewFile::create(&path).is_err());
        assert!(NewFile::create(&folder.path().join("none/a")).is_err());
    }
}
