//! Creates the paths that are to be inaccessible inside. nspawn fails on one that does not exist, and the root of a
//! new container is almost empty. A missing path becomes an empty directory, created by directory descriptor without
//! following links.

use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::resolve::open_resolved;
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::words::{bind_fields, first_field};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, openat};
use rustix::io::Errno;

/// Creates the missing paths of all `Inaccessible=` lines, except for those below another mount. nspawn itself
/// reports a path that cannot be created.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile) {
    let binds = file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly"));
    let binds = binds.filter_map(|value| {
        let fields = bind_fields(value).ok()?;
        Some(fields.destination.unwrap_or(fields.source))
    });
    let systems =
        file.values("Files", "TemporaryFileSystem").filter_map(|value| Some(first_field(value).ok()?.0));
    let mounted: Vec<String> = binds.chain(systems).collect();
    for path in file.values("Files", "Inaccessible") {
        if !mounted.iter().any(|place| Path::new(path).starts_with(place)) {
            let _ = directories(&root.join("var/lib/machines").join(name.as_str()), path);
        }
    }
}

/// Creates the missing directories of `path` below `root`.
fn directories(root: &Path, path: &str) -> Result<(), Errno> {
    let root = openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let owner = fstat(&root)?;
    let mut above: OwnedFd = root;
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        match mkdirat(&above, part, Mode::from_raw_mode(0o755)) {
            // In a root shifted for a user namespace, the new directory gets the root's owner.
            Ok(()) => {
                let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
                chownat(&above, part, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            // The last component may be of any type.
            Err(Errno::EXIST) if parts.peek().is_none() => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        above = open_resolved(&above, part, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
    }
    Ok(())
}
