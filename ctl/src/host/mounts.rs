//! The kernel's table of mounts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::base::host::Host;

/// The host's mount points in mount order, each with the type of its file system.
pub(crate) struct Mounts(Vec<(PathBuf, String)>);

impl Mounts {
    /// Reads the table.
    pub(crate) fn read(host: &Host) -> Result<Self> {
        let path = host.path("/proc/self/mountinfo");
        let table = fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(Self(table.split(|byte| *byte == b'\n').filter_map(mount).collect()))
    }

    /// Iterates over the mount points below a path, which must be resolved.
    pub(crate) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        let places = self.0.iter().map(|(place, _)| place.as_path());
        places.filter(move |place| place.starts_with(path) && *place != path)
    }

    /// Returns the type of the file system that holds a path, which must be resolved: that of the last mount on its
    /// longest prefix.
    pub(crate) fn kind(&self, path: &Path) -> Option<&str> {
        let over = self.0.iter().filter(|(place, _)| path.starts_with(place));
        over.max_by_key(|(place, _)| place.as_os_str().len()).map(|(_, kind)| kind.as_str())
    }
}

/// Parses a line (`proc_pid_mountinfo(5)`): fields of the mount, then `-` and the type.
fn mount(line: &[u8]) -> Option<(PathBuf, String)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let place = PathBuf::from(OsStr::from_bytes(&unescape(fields.nth(4)?)));
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some((place, String::from_utf8_lossy(kind).into_owned()))
}

/// Returns the mount points at or below a path, from the kernel's table.
pub(crate) fn mounts_below(path: &Path) -> Result<Vec<PathBuf>> {
    // The table contains resolved paths, but /var may be a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    const TABLE: &str = "/proc/self/mountinfo";
    let table = fs::read(TABLE).with_context(|| format!("{TABLE}: cannot be read"))?;
    let mut mounts: Vec<PathBuf> = table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsStr::from_bytes(&unescape(field))))
        .filter(|mount| mount.starts_with(path))
        .collect();
    mounts.sort();
    Ok(mounts)
}

/// Unescapes the three octal digits that mountinfo uses for spaces and backslashes (proc(5)).
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', next @ ..] if *first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = next;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_a_path() {
        let table = "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /srv rw,nosuid shared:1 - nfs4 y rw\n\
                     3 1 0:3 / /srv/a\\040b rw - tmpfs tmpfs rw\n4 1 0:4 / /srv rw - xfs /dev/b rw\n";
        let mounts = Mounts(table.split('\n').filter_map(|line| mount(line.as_bytes())).collect());
        for (path, kind) in [("/srv/a b/c", "tmpfs"), ("/srv/x", "xfs"), ("/srvx", "ext4")] {
            assert_eq!(mounts.kind(Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(mounts.below(Path::new("/srv")).collect::<Vec<_>>(), [Path::new("/srv/a b")]);
    }

    #[test]
    fn mountinfo_escapes() {
        assert_eq!(unescape(br"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescape(br"/a\"), br"/a\");
    }
}
