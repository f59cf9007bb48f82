//! Places on the host where root inside a container can leave setuid programs for users of the host: files that it
//! creates there belong to the host's root, and others can reach them. The mode of the directory itself does not
//! help, since root inside can change it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::nspawn_file;
use rustix::fs::{StatVfsMountFlags, statvfs};
use systemd_unit_syntax::words::bind_fields;

use crate::base::host::Host;
use crate::host::mounts::mounts_below;
use crate::host::state_directory::directory;

/// Returns a warning about such places in the new intent that `before` does not have.
pub(crate) fn warning(
    host: &Host,
    name: &MachineName,
    new: &Intent,
    before: Option<&Intent>,
) -> Option<String> {
    let had = before.map(|before| places(host, name, before)).unwrap_or_default();
    let places: Vec<String> =
        places(host, name, new).into_iter().filter(|place| !had.contains(place)).collect();
    (!places.is_empty()).then(|| {
        format!(
            "root inside can make setuid programs of the host's root in {}, and users of the host can run them there; keep \
             it below a directory that only root can enter, or on a file system mounted nosuid",
            places.join(", ")
        )
    })
}

/// Returns the places of an intent among the sources of writable bind mounts and the container's root directory.
fn places(host: &Host, name: &MachineName, intent: &Intent) -> Vec<String> {
    // Who owns the files of an offline tree is only known on the system that boots it.
    if !host.live() {
        return Vec::new();
    }
    let mapped = intent.container.in_user_namespace();
    let file = nspawn_file(intent).unwrap_or_default();
    let binds = file.values("Files", "Bind").filter_map(|value| bind_fields(value).ok());
    let as_root = binds.filter(|bind| !mapped || keeps_owners(bind.options.as_deref().unwrap_or_default()));
    let sources = as_root.map(|bind| bind.source).filter(|source| source.starts_with('/'));
    let root = directory(host, name);
    // The files of a shifted root directory belong to no user of the host.
    let unshifted = fs::symlink_metadata(&root).map_or(true, |found| found.uid() == 0);
    let root = Some(root.display().to_string()).filter(|_| unshifted);
    let mut places: Vec<String> =
        sources.chain(root).filter(|source| holds_programs(&host.path(source), others_enter)).collect();
    places.dedup();
    places
}

/// Returns whether the options of a bind mount keep owners; the last option wins.
fn keeps_owners(options: &str) -> bool {
    let mapping = |option: &&str| option.ends_with("idmap");
    options.split(',').rfind(mapping).is_some_and(|option| option != "noidmap")
}

/// Returns whether users of the host could run a setuid program in this place. `enter` tells whether they can enter a
/// directory.
fn holds_programs(path: &Path, enter: impl Fn(&Path) -> bool) -> bool {
    let Some((there, missing)) = existing(path) else { return false };
    let Ok(found) = fs::metadata(&there) else { return false };
    // Devices and sockets hold no programs.
    if !(found.is_dir() || found.is_file()) {
        return false;
    }
    let runs = |place: &Path| {
        statvfs(place).map_or(true, |system| {
            !system.f_flag.intersects(StatVfsMountFlags::NOSUID | StatVfsMountFlags::NOEXEC)
        })
    };
    let below = if missing { Vec::new() } else { mounts_below(&there).unwrap_or_default() };
    if !runs(&there) && !below.iter().any(|mount| runs(mount)) {
        return false;
    }
    // A missing source is created below the last directory that exists.
    there.ancestors().skip(usize::from(!missing)).all(enter)
}

/// Returns the longest existing prefix of a path, with links resolved, and whether the rest is missing.
fn existing(path: &Path) -> Option<(std::path::PathBuf, bool)> {
    path.ancestors().find_map(|part| Some((part.canonicalize().ok()?, part != path)))
}

/// Returns whether a user other than root can enter a directory, as its owner, by its group, or as anybody. With
/// an access control list, the group's bits are its mask (`acl(5)`).
fn others_enter(directory: &Path) -> bool {
    let Ok(found) = fs::metadata(directory) else { return true };
    let enters = |bit: u32| found.mode() & bit != 0;
    let listed = || rustix::fs::getxattr(directory, "system.posix_acl_access", &mut [0u8; 0][..]).is_ok();
    enters(0o001) || enters(0o100) && found.uid() != 0 || enters(0o010) && (found.gid() != 0 || listed())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn options_that_keep_owners() {
        for (options, keeps) in [
            ("", false),
            ("idmap", true),
            ("norbind,rootidmap", true),
            ("idmap,noidmap", false),
            ("owneridmap", true),
        ] {
            assert_eq!(keeps_owners(options), keeps, "{options}");
        }
    }

    #[test]
    fn only_what_is_above_a_source_protects_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let closed = folder.path().join("closed");
        for (path, mode) in [(folder.path(), 0o755), (&open, 0o755), (&closed, 0o700)] {
            fs::create_dir_all(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(closed.join("sub")).unwrap();
        fs::write(open.join("file"), "").unwrap();
        // Without root, the caller owns the directory and can enter it.
        let private = rustix::process::geteuid().is_root();
        assert_eq!(others_enter(&closed), !private);
        assert!(others_enter(&open));
        // Whoever runs the test may keep temporary files in a private directory.
        let top = folder.path().canonicalize().unwrap();
        let enter = |directory: &Path| !directory.starts_with(&top) || others_enter(directory);
        // Temporary files may be where no such program runs.
        let runs = holds_programs(&top, |_| true);
        // The mode of the source itself does not count, since root inside can change it.
        for (path, holds) in [
            (open.clone(), true),
            (open.join("file"), true),
            (open.join("missing/deep"), true),
            (closed.clone(), true),
            (closed.join("sub"), !private),
            (closed.join("missing"), !private),
            ("/dev/null".into(), false),
        ] {
            assert_eq!(holds_programs(&path, enter), holds && runs, "{}", path.display());
        }
    }
}
