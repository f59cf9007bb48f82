//! Opens files of a tree: links resolve within the tree, and opening never blocks.

use std::fs::File;
use std::io;
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
