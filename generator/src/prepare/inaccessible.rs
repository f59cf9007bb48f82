//! Paths that are to be inaccessible inside. nspawn fails on one that does not exist, and in the root of a new
//! container hardly any does: it is made as an empty directory, by directory descriptor and without following links.

use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::words::{bind_fields, first_field};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, openat, openat2,
};
use rustix::io::Errno;

/// Makes the missing paths of all `Inaccessible=` lines that lie in the container's root itself. What cannot be made
/// is left to nspawn, which says what it minds.
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

fn directories(root: &Path, path: &str) -> Result<(), Errno> {
    let root = openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let owner = fstat(&root)?;
    let mut above: OwnedFd = root;
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        match mkdirat(&above, part, Mode::from_raw_mode(0o755)) {
            // In a root whose owner was changed for a user namespace, the new directory belongs to the same.
            Ok(()) => {
                let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
                chownat(&above, part, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            // The last one may be anything.
            Err(Errno::EXIST) if parts.peek().is_none() => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        above =
            openat2(&above, part, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
    }
    Ok(())
}
