//! Refuses two mounts of a container at the same place, and a mount at a place that cannot be mounted over.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::container::Container;
use crate::invalid::shown;
use crate::value::has_double_slashes;

/// Places that nspawn mounts itself, or mounts so late that they can no longer be hidden.
const MADE_BY_NSPAWN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Returns the field of the first mount whose place is taken or not available, and the reason.
pub(super) fn place_fault(container: &Container) -> Option<(&'static str, String)> {
    let mut taken: BTreeMap<Cow<'_, str>, (&str, &str)> = BTreeMap::new();
    for own in own_places(container) {
        taken.insert(Cow::Borrowed(own), ("", ""));
    }
    let binds = container.bind_mounts.iter().filter(|mount| !mount.is_host_database()).map(|mount| {
        ("bindMounts", Cow::Borrowed(mount.destination.as_str()), mount.text().unwrap_or_default())
    });
    let devices = container.devices.iter().map(|device| ("devices", Cow::Borrowed(device.path.as_str()), ""));
    let tmpfs = container.tmpfs.iter().map(|tmpfs| ("tmpfs", Cow::Owned(tmpfs.path()), tmpfs.as_str()));
    let hidden = container
        .inaccessible_paths
        .iter()
        .map(|path| ("inaccessiblePaths", Cow::Borrowed(path.as_str()), path.as_str()));
    for (field, path, written) in binds.chain(devices).chain(tmpfs).chain(hidden) {
        let refused = |reason: &str| Some((field, format!("'{}' {reason}", shown(&path))));
        let place = normal(path.clone());
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
                return refused("is the mount point of two entries");
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
fn normal(path: Cow<'_, str>) -> Cow<'_, str> {
    if path == "/" || !has_double_slashes(&path) && !path.ends_with('/') {
        return path;
    }
    let mut normal = String::with_capacity(path.len() + 1);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        normal.push('/');
        normal.push_str(part);
    }
    if normal.is_empty() { Cow::Borrowed("/") } else { Cow::Owned(normal) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (path, place) in [("//a///b/", "/a/b"), ("/a/", "/a"), ("/a", "/a"), ("/", "/"), ("//", "/")] {
            assert_eq!(normal(path.into()), place);
        }
        assert!(within("/proc/a", "/proc") && within("/proc", "/proc") && !within("/process", "/proc"));
    }
}
