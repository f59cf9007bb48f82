//! Removes what nspawn leaves behind of the snapshot of an `ephemeral` container: NixOS makes /var/empty immutable, and
//! nspawn cannot remove it. Only empty directories are removed, so no data can be lost.

use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, openat, unlinkat};
use rustix::io::Errno;

use crate::log::Log;

/// The prefixes of snapshot names, on systemd 262 and 257 (src/nspawn/nspawn.c).
const BEGINNINGS: [&str; 2] = [".#snapshot.", ".#machine."];

/// The number of digits that nspawn appends to the name of a snapshot.
const DIGITS: usize = 16;

/// The path of the directory that is left behind.
const LEFT: [&str; 2] = ["var", "empty"];

const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes the remains of the container's snapshots.
pub(super) fn remove(root: &Path, name: &MachineName, log: &Log) {
    let machines = root.join("var/lib/machines");
    let Ok(directory) = openat(CWD, &machines, READ, Mode::empty()) else { return };
    for snapshot in entries(&directory).unwrap_or_default().iter().filter(|entry| is_snapshot(entry, name)) {
        match emptied(&directory, snapshot) {
            Ok(()) => {}
            Err(error) => log.warning(&format!(
                "{}: cannot be removed: {}",
                machines.join(snapshot).display(),
                std::io::Error::from(error)
            )),
        }
    }
}

/// Returns whether a name is that of a snapshot of the container.
fn is_snapshot(entry: &str, name: &MachineName) -> bool {
    let rest = BEGINNINGS.iter().find_map(|beginning| entry.strip_prefix(beginning));
    let digits = rest.and_then(|rest| rest.strip_prefix(name.as_str()));
    digits
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Removes a snapshot that holds nothing but an empty /var/empty. Leaves any other as it is.
fn emptied(machines: &OwnedFd, snapshot: &str) -> Result<(), Errno> {
    let mut way = vec![openat(machines, snapshot, READ, Mode::empty())?];
    for part in LEFT {
        let Some(above) = way.last() else { return Ok(()) };
        if entries(above)? != [part] {
            return Ok(());
        }
        let below = openat(above, part, READ, Mode::empty())?;
        way.push(below);
    }
    let [top, var, empty] = way.as_slice() else { return Ok(()) };
    if !entries(empty)?.is_empty() {
        return Ok(());
    }
    let flags = ioctl_getflags(empty)?;
    if flags.contains(IFlags::IMMUTABLE) {
        ioctl_setflags(empty, flags - IFlags::IMMUTABLE)?;
    }
    unlinkat(var, LEFT[1], AtFlags::REMOVEDIR)?;
    unlinkat(top, LEFT[0], AtFlags::REMOVEDIR)?;
    unlinkat(machines, snapshot, AtFlags::REMOVEDIR)
}

/// Returns the names of the entries of a directory; names that are not UTF-8 are not ours.
fn entries(directory: &OwnedFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_dir_all, write};

    use super::*;

    #[test]
    fn names() {
        let name = "web".parse().unwrap();
        assert!(is_snapshot(".#machine.web0123456789abcdef", &name));
        assert!(is_snapshot(".#snapshot.web0123456789abcdef", &name));
        for other in [
            ".#machine.web",
            ".#machine.web0123456789abcde",
            ".#machine.web0123456789abcdef0",
            ".#machine.web-0123456789abcde",
            ".#machine.web20123456789abcdef",
            ".#web0123456789abcdef",
            "web",
        ] {
            assert!(!is_snapshot(other, &name), "{other}");
        }
    }

    #[test]
    fn only_empty_directories_are_removed() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-snapshot-{}", std::process::id()));
        let machines = root.join("var/lib/machines");
        let snapshot =
            |digit: char| machines.join(format!(".#machine.web{}", digit.to_string().repeat(DIGITS)));
        for (digit, path) in
            [('1', "var/empty"), ('2', "var/empty/x"), ('3', "var/log"), ('4', "etc"), ('5', "var")]
        {
            create_dir_all(snapshot(digit).join(path)).unwrap();
        }
        create_dir_all(snapshot('6').join("var/empty")).unwrap();
        write(snapshot('6').join("var/file"), "").unwrap();
        remove(&root, &"web".parse().unwrap(), &Log::start());
        let left: Vec<bool> = ('1'..='6').map(|digit| snapshot(digit).exists()).collect();
        assert_eq!(left, [false, true, true, true, true, true]);
        assert!(snapshot('6').join("var/empty").exists());
        remove_dir_all(&root).unwrap();
    }
}
