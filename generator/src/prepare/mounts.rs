//! The mounts of the host, and whether the owners of files below a bind source can be mapped.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::id_mapping::may_map_ids;

use crate::failure::Failure;
use crate::log::Log;

/// Fails if another mount is below an idmapped source: nspawn 257–262 would fail with "Device or resource busy".
/// Warns if the file system is known not to support idmapped mounts; only the kernel knows for sure.
pub(crate) fn mappable(
    path: &Path,
    recursive: bool,
    name: &MachineName,
    mounts: &Mounts,
    log: &Log,
) -> Result<(), Failure> {
    if let Some(below) = mounts.below(path).next().filter(|_| recursive) {
        let below = below.display();
        let reason = format!("'{below}' is mounted below it, and ids cannot be mapped on both");
        let next = "; set 'recursive' to false (or 'norbind'), and add a bind mount for what is below";
        return Err(Failure::not_started(path.display(), reason, name, next));
    }
    if let Some(kind) = mounts.kind(path).filter(|kind| !may_map_ids(kind)) {
        log.warning(&format!(
            "{}: ids cannot be mapped on a file system of type {kind}; if systemd-nspawn fails to map them, set 'idmap' \
             of this bind mount to 'noidmap'",
            path.display()
        ));
    }
    Ok(())
}

/// The host's mount points in mount order, each with the type of its file system.
pub(crate) struct Mounts(Vec<(PathBuf, String)>);

impl Mounts {
    /// Reads the mounts. Whoever may mount may give a mount point a name that is not UTF-8.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let table = fs::read(root.join("proc/self/mountinfo"))?;
        let mount = |line: &[u8]| {
            // proc_pid_mountinfo(5): fields of the mount, then `-` and the type.
            let mut fields = line.split(|byte| *byte == b' ');
            let place = PathBuf::from(unescaped(fields.nth(4)?));
            let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
            Some((place, String::from_utf8_lossy(kind).into_owned()))
        };
        Ok(Self(table.split(|byte| *byte == b'\n').filter_map(mount).collect()))
    }

    /// Iterates over the mount points below the path.
    pub(crate) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.0
            .iter()
            .map(|(place, _)| place.as_path())
            .filter(move |place| place.starts_with(path) && *place != path)
    }

    /// Returns the type of the file system that holds the path: that of the last mount on its longest prefix.
    fn kind(&self, path: &Path) -> Option<&str> {
        let over = self.0.iter().filter(|(place, _)| path.starts_with(place));
        over.max_by_key(|(place, _)| place.as_os_str().len()).map(|(_, kind)| kind.as_str())
    }
}

/// Returns a field of the table without the kernel's escapes: a backslash and three octal digits.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let escape = tail.get(..3).filter(|_| *first == b'\\');
        let code = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn mount_points_need_not_be_text() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-mounts-{}", std::process::id()));
        fs::create_dir_all(root.join("proc/self")).unwrap();
        let table =
            b"1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /srv/x\xff rw,nosuid shared:1 - fuse.x y rw\n\
                      3 1 0:3 / /srv/a\\040b\\134 rw - tmpfs tmpfs rw\n";
        fs::write(root.join("proc/self/mountinfo"), table).unwrap();
        let mounts = Mounts::read(&root).unwrap();
        let below: Vec<&[u8]> =
            mounts.below(Path::new("/srv")).map(|path| path.as_os_str().as_bytes()).collect();
        assert_eq!(below, [b"/srv/x\xff".as_slice(), b"/srv/a b\\"]);
        assert_eq!(mounts.kind(Path::new("/srv/a b\\/c")), Some("tmpfs"));
        assert_eq!(mounts.kind(Path::new("/srv")), Some("ext4"));
        fs::remove_dir_all(&root).unwrap();
        assert!(Mounts::read(&root).is_err());
    }
}
