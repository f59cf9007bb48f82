//! The kernel's table of mounts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

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
    fn mountinfo_escapes() {
        assert_eq!(unescape(br"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescape(br"/a\"), br"/a\");
    }
}
