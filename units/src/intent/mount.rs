//! What is mounted inside besides bind mounts: temporary file systems and inaccessible paths; and the rule that no two
//! mounts of a container share a place.

use std::collections::BTreeMap;

use super::Container;
use crate::invalid::{Invalid, shown};
use crate::string_type::string_type;
use crate::syntax::words::first_field;
use crate::value::AbsolutePath;

string_type! {
    /// A temporary file system, `PATH[:OPTION,…]` with options of `tmpfs(5)` (`TemporaryFileSystem=` of
    /// `systemd.nspawn(5)`). A `\` escapes a `:` or `\` of the path.
    Tmpfs, check_tmpfs, r"^/[^\x00-\x1f\x7f]+$"
}

/// The options of `tmpfs(5)` and of any mount: those without a value, and those with one.
const FLAGS: [&str; 25] = [
    "async",
    "atime",
    "casefold",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "inode32",
    "inode64",
    "lazytime",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "noswap",
    "relatime",
    "ro",
    "rw",
    "strictatime",
    "suid",
    "sync",
    "nosymfollow",
];
const VALUED: [&str; 8] = ["gid", "huge", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];

fn check_tmpfs(text: &str) -> Result<(), Invalid> {
    let refuse =
        |reason: String| Err(Invalid::new(text, format!("is not a temporary file system: {reason}")));
    let (path, options) = match first_field(text) {
        Ok(fields) => fields,
        Err(error) => return refuse(error.to_string()),
    };
    if let Err(error) = path.parse::<AbsolutePath>() {
        return refuse(format!("the path {error}"));
    }
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        let known = match option.split_once('=') {
            Some((name, value)) => {
                if VALUED.contains(&name) && !is_value(name, value) {
                    return refuse(format!("option '{name}' cannot be '{}' (tmpfs(5))", shown(value)));
                }
                VALUED.contains(&name)
            }
            None => FLAGS.contains(&option),
        };
        if !known {
            return refuse(format!("option '{}' is not known (tmpfs(5))", shown(option)));
        }
    }
    Ok(())
}

/// Returns whether the kernel takes the value of an option (`shmem_parse_one()`, mm/shmem.c). Numbers are decimal here: the
/// kernel reads one with a leading zero as octal.
fn is_value(name: &str, value: &str) -> bool {
    let number = |text: &str| {
        let digits = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits && (text == "0" || !text.starts_with('0'))
    };
    let amount = |text: &str| number(text.strip_suffix(|c: char| "kKmMgGtTpPeE".contains(c)).unwrap_or(text));
    match name {
        "size" => {
            amount(value) || value.strip_suffix('%').is_some_and(|share| share.len() < 4 && number(share))
        }
        "nr_blocks" | "nr_inodes" => amount(value),
        "mode" => (1..=5).contains(&value.len()) && value.bytes().all(|b| (b'0'..=b'7').contains(&b)),
        "uid" | "gid" => number(value) && value.parse::<u32>().is_ok_and(|id| id != u32::MAX),
        "huge" => ["never", "always", "within_size", "advise"].contains(&value),
        // A policy, and nodes that exist: 'bind=static:0-3'.
        _ => !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:-".contains(&b)),
    }
}

impl Tmpfs {
    /// Returns where it is mounted.
    pub fn path(&self) -> String {
        first_field(self.as_str()).map(|(path, _)| path).unwrap_or_default()
    }

    /// Returns its options as written.
    pub fn options(&self) -> Option<&str> {
        first_field(self.as_str()).ok()?.1
    }
}

/// Places that nspawn mounts itself, or mounts so late that they can no longer be hidden.
const MADE_BY_NSPAWN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Returns the field of the first mount whose place is taken or not available, and the reason.
pub(super) fn place_fault(container: &Container) -> Option<(&'static str, String)> {
    let mut taken: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for own in own_places(container) {
        taken.insert(own.to_owned(), ("", ""));
    }
    let binds =
        container.bind_mounts.iter().filter(|mount| !mount.is_host_database()).map(|mount| {
            ("bindMounts", mount.destination.as_str().to_owned(), mount.text().unwrap_or_default())
        });
    let devices = container.devices.iter().map(|device| ("devices", device.path.to_string(), ""));
    let tmpfs = container.tmpfs.iter().map(|tmpfs| ("tmpfs", tmpfs.path(), tmpfs.as_str()));
    let hidden = container
        .inaccessible_paths
        .iter()
        .map(|path| ("inaccessiblePaths", path.to_string(), path.as_str()));
    for (field, path, written) in binds.chain(devices).chain(tmpfs).chain(hidden) {
        let place = normal(&path);
        let refused = |reason: &str| Some((field, format!("'{}' {reason}", shown(&path))));
        if place == "/" {
            return refused("is the container's root, nothing can be mounted there");
        }
        if within(&place, "/nix/store") {
            return refused("is in the store, which is read-only inside");
        }
        if field == "inaccessiblePaths" && MADE_BY_NSPAWN.iter().any(|above| within(&place, above)) {
            return refused("is made by systemd-nspawn, which cannot hide it");
        }
        if place.starts_with("/proc/") {
            return refused("is in /proc, which is mounted later");
        }
        match taken.get(&place) {
            // Merged Nix modules repeat entries; python-nixos-nspawn accepts that too.
            Some((other, same)) if *other == field && *same == written && !written.is_empty() => {}
            Some((other, _)) if *other == field => {
                return refused("is a mount point twice");
            }
            Some(("", _)) => {
                return refused("is a mount point of nixos-nspawn itself");
            }
            Some((other, _)) => {
                return refused(&format!("is already a mount point of '{other}'"));
            }
            None => drop(taken.insert(place, (field, written))),
        }
    }
    None
}

/// Returns where [`crate::nspawn`] itself mounts something.
fn own_places(container: &Container) -> impl Iterator<Item = &'static str> {
    let nix = container.nix_parts().map(|part| part.path).filter(|path| *path != "/nix/store");
    let log = Some("/dev/kmsg").filter(|_| container.kernel_log);
    nix.chain(log)
}

fn within(place: &str, above: &str) -> bool {
    place.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the path with single slashes and none at its end.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_file_systems() {
        let tmpfs = |text: &str| {
            text.parse::<Tmpfs>().map(|tmpfs| (tmpfs.path(), tmpfs.options().map(str::to_owned)))
        };
        assert_eq!(tmpfs("/scratch"), Ok(("/scratch".to_owned(), None)));
        let full = tmpfs("/a b:size=10%,mode=1777,nosuid").expect("good");
        assert_eq!(full, ("/a b".to_owned(), Some("size=10%,mode=1777,nosuid".to_owned())));
        assert_eq!(tmpfs(r"/a\:b").expect("good").0, "/a:b");
        for good in [
            "size=0",
            "size=1500M",
            "nr_inodes=10k",
            "mode=0755",
            "uid=1000,gid=100",
            "huge=within_size",
            "mpol=bind:0-1",
        ] {
            assert!(tmpfs(&format!("/a:{good}")).is_ok(), "{good}");
        }
        for bad in [
            "",
            "scratch",
            "/a/../b",
            "/a:",
            "/a:size",
            "/a:lots",
            "/a:size=1M,",
            "/a:size=1M nosuid",
            "/a:size=",
            "/a:size=much",
            "/a:size=010%",
            "/a:size=1M%",
            "/a:nr_inodes=0x10",
            "/a:mode=888",
            "/a:uid=root",
            "/a:uid=4294967295",
            "/a:gid=010",
            "/a:huge=yes",
        ] {
            assert!(tmpfs(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn places() {
        assert_eq!(normal("//a///b/"), "/a/b");
        assert_eq!(normal("/"), "/");
        assert!(within("/proc/a", "/proc") && within("/proc", "/proc") && !within("/process", "/proc"));
    }
}
