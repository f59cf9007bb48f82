//! Whether nobody but root can replace a program, directly or through a directory or link on its path.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many links a path may lead through, as for the kernel.
const LINKS: u32 = 40;

/// Returns the first part of a path with which somebody other than `owner` or root can replace what it leads to.
pub(crate) fn open_to_others(path: &Path, owner: u32) -> io::Result<Option<PathBuf>> {
    walk(path, owner, &mut LINKS.clone())
}

fn walk(path: &Path, owner: u32, links: &mut u32) -> io::Result<Option<PathBuf>> {
    let mut parts: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    parts.reverse();
    for part in parts {
        let found = part.symlink_metadata()?;
        if found.uid() != 0 && found.uid() != owner {
            return Ok(Some(part.to_owned()));
        }
        if found.is_symlink() {
            *links = links.checked_sub(1).ok_or_else(|| io::Error::other("too many links"))?;
            let target = part.parent().unwrap_or(part).join(std::fs::read_link(part)?);
            if let Some(open) = walk(&target, owner, links)? {
                return Ok(Some(open));
            }
            continue;
        }
        // In a sticky directory, nobody can replace what belongs to root.
        let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        if found.mode() & 0o022 != 0 && !sticky {
            return Ok(Some(part.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_others_can_replace() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let owner = fs::metadata(&at).unwrap().uid();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let (bin, opt) = (at.join("bin"), at.join("opt"));
        for folder in [&bin, &opt] {
            fs::create_dir(folder).unwrap();
            mode(folder, 0o755);
        }
        let (link, program) = (bin.join("x"), opt.join("x"));
        fs::write(&program, "").unwrap();
        mode(&program, 0o755);
        symlink("../opt/x", &link).unwrap();
        let open = |path: &Path| open_to_others(path, owner).unwrap();
        // In Nix's sandbox, the root directory belongs to another user.
        let above = open(&at);
        assert_eq!(open(&link), above);
        for (path, loose, tight) in [(&program, 0o775, 0o755), (&opt, 0o757, 0o755), (&bin, 0o775, 0o755)] {
            mode(path, loose);
            let found = open(&link).map(|found| found.canonicalize().unwrap());
            assert_eq!(found, above.clone().or(Some(path.clone())), "{loose:o}");
            mode(path, tight);
        }
        mode(&opt, 0o1777);
        assert_eq!(open(&link), above, "it is sticky");
        symlink("y", at.join("y")).unwrap();
        for path in ["y", "none"] {
            let found = open_to_others(&at.join(path), owner);
            assert!(above.is_some() || found.is_err(), "{path}: {found:?}");
        }
    }
}
