//! Opens files of a tree: links resolve within the tree, and opening never blocks.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;

use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};

/// Opens an absolute path of the system below `root` for reading.
pub(crate) fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if root == Path::new("/") {
        // On the running system links cannot lead out of the root, and this works on kernels without openat2.
        return Ok(File::from(openat(CWD, path, flags, Mode::empty())?));
    }
    let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let path = path.strip_prefix("/").unwrap_or(path);
    Ok(File::from(open_resolved(&root, path, flags, ResolveFlags::IN_ROOT)?))
}

/// The maximum size of a file that is read whole.
const LARGEST: u64 = 1 << 20;

/// Reads an open file, which must be a regular file of bounded size.
pub(crate) fn read_regular(file: File) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    if metadata.len() > LARGEST {
        return Err(io::Error::other(format!("is larger than {} MiB", LARGEST >> 20)));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file of a store path. It decides what a container may do, so it must be a regular file of bounded size, and
/// its links must not lead out of the store.
pub(crate) fn read_of_store(root: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let file = open_below(root, path)?;
    let target = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let inside = target.strip_prefix(root).unwrap_or(&target);
    if !Path::new("/").join(inside).starts_with("/nix/store") {
        let why = format!("leads to {}, which is not in the store", target.display());
        return Err(io::Error::other(why));
    }
    read_regular(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_of_profiles_are_in_the_store_regular_and_small() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let store = root.join("nix/store/x");
        fs::create_dir_all(&store).unwrap();
        fs::write(store.join("good"), "x").unwrap();
        fs::write(root.join("evil"), "x").unwrap();
        fs::write(store.join("large"), vec![0; (1 << 20) + 1]).unwrap();
        symlink("/nix/store/x/good", store.join("link")).unwrap();
        symlink("/evil", store.join("out")).unwrap();
        symlink("../../../evil", store.join("up")).unwrap();
        rustix::fs::mknodat(
            CWD,
            store.join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let read = |name: &str| read_of_store(&root, &Path::new("/nix/store/x").join(name));
        for name in ["good", "link"] {
            assert_eq!(read(name).unwrap(), b"x", "{name}");
        }
        for (name, why) in [
            ("out", "not in the store"),
            ("up", "not in the store"),
            ("large", "larger than 1 MiB"),
            ("fifo", "not a regular file"),
            (".", "not a regular file"),
        ] {
            assert!(read(name).unwrap_err().to_string().contains(why), "{name}");
        }
        assert_eq!(read("none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
