//! Resolves paths of an offline tree. Its links were made by others, so they resolve within the tree, as for a system
//! that is booted from it.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The maximum number of links to follow, as in the kernel (`path_resolution(7)`).
const LINKS: u32 = 40;

/// Returns an absolute path of the system as one below `root`, with all links above its last component followed inside the
/// tree. The last component is left as it is.
pub(crate) fn inside(root: &Path, path: &Path) -> PathBuf {
    resolve(root, path, false)
}

/// Like `inside`, for a directory whose entries are used: a link in the last component is followed as well.
pub(crate) fn directory(root: &Path, path: &Path) -> PathBuf {
    resolve(root, path, true)
}

fn resolve(root: &Path, path: &Path, last: bool) -> PathBuf {
    let mut rest: Vec<OsString> = components(path);
    rest.reverse();
    let mut place = PathBuf::new();
    let mut links = 0;
    while let Some(next) = rest.pop() {
        if next == ".." {
            place.pop();
            continue;
        }
        let target =
            if rest.is_empty() && !last { None } else { fs::read_link(root.join(&place).join(&next)).ok() };
        match target {
            Some(target) if links < LINKS => {
                links += 1;
                if target.is_absolute() {
                    place = PathBuf::new();
                }
                rest.extend(components(&target).into_iter().rev());
            }
            _ => place.push(next),
        }
    }
    root.join(place)
}

/// Returns the components of a path, including `..`.
fn components(path: &Path) -> Vec<OsString> {
    let name = |component: Component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        create_dir_all(root.join("a/b")).unwrap();
        symlink("/root/victim", root.join("absolute")).unwrap();
        symlink("../../../../root/victim", root.join("a/up")).unwrap();
        symlink("b", root.join("a/near")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, expected) in [
            ("/a/b/c", "a/b/c"),
            ("/absolute/x", "root/victim/x"),
            ("/a/up/x", "root/victim/x"),
            ("/a/near/c", "a/b/c"),
            ("/a/../../../x", "x"),
            // The last component may be what is to be removed.
            ("/absolute", "absolute"),
            ("/", ""),
        ] {
            assert_eq!(inside(&root, Path::new(path)), root.join(expected), "{path}");
        }
        assert!(inside(&root, Path::new("/loop/x")).starts_with(&root));
        for (path, expected) in
            [("/absolute", "root/victim"), ("/a/up", "root/victim"), ("/a/near", "a/b"), ("/a", "a")]
        {
            assert_eq!(directory(&root, Path::new(path)), root.join(expected), "{path}");
        }
        assert!(directory(&root, Path::new("/loop")).starts_with(&root));
    }
}
