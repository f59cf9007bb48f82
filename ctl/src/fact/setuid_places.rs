//! Places of the host in which root inside a container can leave setuid programs for users of the host: its files there
//! belong to the host's root, and others can reach them. The mode of such a directory itself is no protection, since root
//! inside can change it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::nspawn_file;
use nixos_nspawn_units::syntax::words::bind_fields;
use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::base::host::Host;
use crate::host::state_directory::{directory, mounts_below};

/// Returns a sentence about the places of these options that those `before` do not have.
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

/// Returns the places: sources of writable bind mounts, and the container's own root.
fn places(host: &Host, name: &MachineName, intent: &Intent) -> Vec<String> {
    // Whose files they are in an offline tree is decided where it is booted.
    if !host.live() {
        return Vec::new();
    }
    let mapped = intent.container.in_user_namespace();
    let file = nspawn_file(intent).unwrap_or_default();
    let binds = file.values("Files", "Bind").filter_map(|value| bind_fields(value).ok());
    let as_root = binds.filter(|bind| !mapped || keeps_owners(bind.options.as_deref().unwrap_or_default()));
    let sources = as_root.map(|bind| bind.source).filter(|source| source.starts_with('/'));
    let root = directory(host, name);
    // Files of a root that was shifted belong to no user of the host.
    let unshifted = fs::symlink_metadata(&root).map_or(true, |found| found.uid() == 0);
    let root = Some(root.display().to_string()).filter(|_| unshifted);
    let mut places: Vec<String> =
        sources.chain(root).filter(|source| holds_programs(&host.path(source))).collect();
    places.dedup();
    places
}

/// The last option wins.
fn keeps_owners(options: &str) -> bool {
    let mapping = |option: &&str| option.ends_with("idmap");
    options.split(',').rfind(mapping).is_some_and(|option| option != "noidmap")
}

/// Returns whether users of the host could run a setuid program in this place, once it is there.
fn holds_programs(path: &Path) -> bool {
    let Some((there, missing)) = existing(path) else { return false };
    let Ok(found) = fs::metadata(&there) else { return false };
    // Devices and sockets hold none.
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
    // A missing source will be made in the last directory that exists.
    there.ancestors().skip(usize::from(!missing)).all(others_enter)
}

/// Returns the longest existing part of a path without links, and whether more of it is missing.
fn existing(path: &Path) -> Option<(std::path::PathBuf, bool)> {
    path.ancestors().find_map(|part| Some((part.canonicalize().ok()?, part != path)))
}

/// Returns whether somebody but root can enter a directory: its owner, its group, or all. An access control list has its
/// mask in place of the group's rights (`acl(5)`).
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
        // Without root's rights a directory of one's own is entered by its owner.
        let private = rustix::process::geteuid().is_root();
        assert_eq!(others_enter(&closed), !private);
        assert!(others_enter(&open));
        if folder.path().ancestors().all(others_enter) {
            // Root inside can open what is closed itself.
            for (path, holds) in [
                (open.clone(), true),
                (open.join("file"), true),
                (open.join("missing/deep"), true),
                (closed.clone(), true),
                (closed.join("sub"), !private),
                (closed.join("missing"), !private),
                ("/dev/null".into(), false),
            ] {
                assert_eq!(holds_programs(&path), holds, "{}", path.display());
            }
        }
    }
}
