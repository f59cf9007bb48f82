//! Creates mount points in a container's root. nspawn fails on an inaccessible path that does not exist. In a user
//! namespace it creates the other mount points as a user that is not mapped, and nothing could be created beside them
//! inside. Directories are created by descriptor without following links.

use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, openat};
use rustix::io::Errno;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::words::{bind_fields, first_field};

use crate::prepare::user_namespace::maps_users;

/// The user as which nspawn creates missing mount points in a root whose owners it maps (systemd 257,
/// src/nspawn/nspawn.h).
const UNMAPPED_ROOT: u32 = i32::MAX as u32 - 1;

/// Where nspawn mounts file systems of its own.
const OF_NSPAWN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Creates missing mount points, except below other mounts. nspawn itself reports a path that cannot be created.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile) {
    let machine = root.join("var/lib/machines").join(name.as_str());
    let mut places: Vec<(String, bool)> = Vec::new();
    for value in file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly")) {
        let Ok(fields) = bind_fields(value) else { continue };
        let source = match fields.source.strip_prefix('+') {
            Some(inside) => machine.join(inside.trim_start_matches('/')),
            None => root.join(fields.source.trim_start_matches('/')),
        };
        let directory = fields.source.is_empty() || source.is_dir();
        places.push((fields.destination.unwrap_or(fields.source), directory));
    }
    let systems = file.values("Files", "TemporaryFileSystem");
    places.extend(systems.filter_map(|value| Some((first_field(value).ok()?.0, true))));
    let below = |path: &str, over: &str| Path::new(path).starts_with(over);
    let mounted =
        |path: &str, (over, _): &(String, bool)| below(path, over) && Path::new(path) != Path::new(over);
    for path in file.values("Files", "Inaccessible") {
        if !places.iter().any(|(over, _)| below(path, over)) {
            let _ = create(&machine, path, true);
        }
    }
    if !maps_users(file) {
        return;
    }
    for (path, directory) in &places {
        let elsewhere = OF_NSPAWN.iter().any(|over| below(path, over));
        if !elsewhere && !places.iter().any(|over| mounted(path, over)) {
            let _ = create(&machine, path, *directory);
        }
    }
}

/// Creates the missing components of `path` below `root`; the last one is a directory or a file. They get the root's
/// owner, as do those that nspawn created as another user.
fn create(root: &Path, path: &str, directory: bool) -> Result<(), Errno> {
    let root = openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let owner = fstat(&root)?;
    let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    let mut above: OwnedFd = root;
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let created = if last && !directory {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(&above, part, flags, Mode::from_raw_mode(0o644)).map(drop)
        } else {
            mkdirat(&above, part, Mode::from_raw_mode(0o755))
        };
        match created {
            Ok(()) => chownat(&above, part, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        // The last component may be of any type.
        let kind = if last { OFlags::empty() } else { OFlags::DIRECTORY };
        let flags = OFlags::PATH | OFlags::CLOEXEC | kind;
        above = open_resolved(&above, part, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
        if fstat(&above)?.st_uid == UNMAPPED_ROOT {
            chownat(&above, c"", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_dir_all, write};
    use std::os::unix::fs::symlink;

    use systemd_unit_syntax::parse;

    use super::*;

    #[test]
    fn places_in_the_root() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-mount-points-{}", std::process::id()));
        let machine = root.join("var/lib/machines/web");
        create_dir_all(machine.join("etc")).unwrap();
        create_dir_all(root.join("srv/dir")).unwrap();
        write(root.join("srv/file"), "").unwrap();
        create_dir_all(root.join("outside")).unwrap();
        symlink(root.join("outside"), machine.join("link")).unwrap();
        let files = "[Files]\nBind=/srv/dir:/a/dir\nBindReadOnly=/srv/file:/a/file\nTemporaryFileSystem=/var/cache/x\n\
             Bind=/srv/dir:/a/dir/below\nBind=/srv/dir:/link/below\nBind=/srv/dir:/run/x\nInaccessible=/hidden/deep\n\
             Inaccessible=/a/dir/hidden\n";
        let mapped = parse(format!("[Exec]\nPrivateUsers=pick\n{files}").as_bytes()).unwrap().file;
        let plain = parse(format!("[Exec]\nPrivateUsers=no\n{files}").as_bytes()).unwrap().file;
        make(&root, &"web".parse().unwrap(), &plain);
        assert!(machine.join("hidden/deep").is_dir() && !machine.join("a").exists());
        make(&root, &"web".parse().unwrap(), &mapped);
        assert!(machine.join("a/dir").is_dir() && machine.join("a/file").is_file());
        assert!(machine.join("var/cache/x").is_dir());
        assert!(!machine.join("a/dir/below").exists() && !machine.join("a/dir/hidden").exists());
        assert!(!root.join("outside/below").exists() && !machine.join("run").exists());
        remove_dir_all(&root).unwrap();
    }
}
