//! Files and devices of the host.

use super::facts::Facts;
use super::matter::{Finding, Matter};
use crate::reach::{Owners, Subject};

pub(super) const MATTERS: &[Matter] = &[
    Matter {
        id: "bindMounts",
        settings: &["bindMounts", "nspawnConfig.Files"],
        weight: 1000,
        open: "sees files of the host",
        closed: "sees no files of the host but the store",
        remedy: Some("make bind mounts read-only, and bind only what is needed"),
        find: binds,
    },
    Matter {
        id: "sharedNix",
        settings: &["sharedNix"],
        weight: 300,
        open: "reads the whole Nix store of the host",
        closed: "does not see the Nix store of the host",
        remedy: None,
        find: |_| Finding::new(100),
    },
    Matter {
        id: "mountDaemonSocket",
        settings: &["mountDaemonSocket"],
        weight: 500,
        open: "uses the host's Nix daemon",
        closed: "cannot use the host's Nix daemon",
        remedy: Some("remove mountDaemonSocket"),
        find: daemon,
    },
    Matter {
        id: "credentials",
        settings: &["credentials"],
        weight: 100,
        open: "reads secrets of the host",
        closed: "has no secrets of the host",
        remedy: Some("hand over only what its services need"),
        find: |facts| some(facts, "credentials", 50),
    },
    Matter {
        id: "devices",
        settings: &["devices", "tun", "fuse"],
        weight: 500,
        open: "uses devices of the host",
        closed: "uses no devices of the host",
        remedy: Some("remove devices, tun and fuse, or permit reading only"),
        find: devices,
    },
    Matter {
        id: "kernelLog",
        settings: &["kernelLog"],
        weight: 100,
        open: "reads the host's kernel log",
        closed: "cannot read the host's kernel log",
        remedy: Some("remove kernelLog"),
        find: |facts| some(facts, "kernelLog", 100),
    },
    Matter {
        id: "resolvConf",
        settings: &["resolvConf", "timezone"],
        weight: 50,
        open: "writes files of the host that nspawn mounts",
        closed: "cannot write files that nspawn mounts",
        remedy: Some("set userNamespacing, or neither option to a word with 'bind'"),
        find: |facts| {
            let mut found = some(facts, "resolvConf", 100);
            let zone = some(facts, "timezone", 100);
            found.exposure = found.exposure.max(zone.exposure);
            found.details.extend(zone.details);
            found
        },
    },
];

/// Returns what it is if the reach has something by this option.
pub(super) fn some(facts: &Facts, option: &'static str, exposure: u32) -> Finding {
    let is = move |subject: &Subject| matches!(subject, Subject::Value(of, _) if *of == option);
    let details: Vec<String> = facts.lines(|item| item.gives() && is(&item.subject)).collect();
    Finding { exposure: if details.is_empty() { 0 } else { exposure }, at_least: 0, details }
}

/// Directories of the host, writing to which makes one its root.
const CRITICAL: [&str; 5] = ["/", "/run", "/var", "/var/lib", "/var/lib/machines"];

/// Directories of which this is also true of everything below.
const CRITICAL_BELOW: [&str; 11] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/sbin", "/sys", "/usr"];

/// The same, but every container may read its store.
const NIX: &str = "/nix";

/// Sockets of the host, connecting to which makes one its root: a read-only mount is no obstacle.
const SOCKETS: [&str; 5] =
    ["/run/containerd", "/run/dbus", "/run/docker.sock", "/run/podman", "/run/systemd"];

/// The folder of the socket of the Nix daemon, which trusts the host's root only.
const DAEMON_SOCKET: &str = "/nix/var/nix/daemon-socket";

fn binds(facts: &Facts) -> Finding {
    let found = facts.reach.items().iter().filter_map(|item| {
        let Subject::Bind { source, write, below, owners } = &item.subject else { return None };
        let (exposure, at_least) = bind(source, *write, *below, *owners);
        Some(Finding { exposure, at_least, details: vec![item.line()] })
    });
    Finding::worst(found.collect())
}

fn bind(source: &str, write: bool, below: bool, owners: Owners) -> (u32, u32) {
    let source = simplified(source);
    let source = source.as_str();
    let nobody = owners == Owners::Nobody;
    // /run is a file system of its own.
    let has_socket =
        source == "/run" || source == "/" && below || SOCKETS.iter().any(|socket| is_within(source, socket));
    let (exposure, at_least) = match write {
        _ if has_socket => (100, 95),
        true if !nobody && critical(source, true) => (100, 95),
        true if owners == Owners::HostRoot => (80, 0),
        true if nobody => (30, 0),
        true => (60, 0),
        false if !nobody && critical(source, false) => (60, 50),
        false if owners == Owners::HostRoot => (30, 0),
        false if nobody => (10, 0),
        false => (20, 0),
    };
    let has_daemon = is_within(source, DAEMON_SOCKET) || is_within(DAEMON_SOCKET, source);
    let daemon = if has_daemon { daemon_socket(owners != Owners::HostRoot) } else { (0, 0) };
    (exposure.max(daemon.0), at_least.max(daemon.1))
}

/// Returns whether whoever writes to it, or reads it, is as good as the host's root.
fn critical(source: &str, write: bool) -> bool {
    CRITICAL.contains(&source)
        || CRITICAL_BELOW.iter().any(|place| is_within(source, place))
        || write && is_within(source, NIX)
}

/// Returns whether it is this directory, or below it; both are simplified.
fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || directory == "/")
}

/// Returns the path that is found by another one, as far as that can be told without looking at the disk.
pub(super) fn simplified(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            // A link to /run on every host with systemd.
            "run" if parts == ["var"] => parts = vec![part],
            _ => parts.push(part),
        }
    }
    if parts.is_empty() { "/".to_owned() } else { parts.iter().flat_map(|part| ["/", part]).collect() }
}

fn daemon(facts: &Facts) -> Finding {
    if !facts.options.mount_daemon_socket {
        return Finding::default();
    }
    let (exposure, at_least) = daemon_socket(facts.in_user_namespace);
    let details = match facts.in_user_namespace {
        true => "as a user of the host whom it does not trust",
        false => "as root, whom it trusts",
    };
    Finding { exposure, at_least, details: vec![details.to_owned()] }
}

fn daemon_socket(in_user_namespace: bool) -> (u32, u32) {
    if in_user_namespace { (50, 0) } else { (100, 90) }
}

/// Beginnings of devices that are disks or memory.
const RAW: [&str; 14] = [
    "/dev/block",
    "/dev/disk",
    "/dev/dm-",
    "/dev/kmem",
    "/dev/mapper",
    "/dev/md",
    "/dev/mem",
    "/dev/mmcblk",
    "/dev/nvme",
    "/dev/port",
    "/dev/sd",
    "/dev/vd",
    "/dev/vfio",
    "/dev/xvd",
];

/// Returns whether a simplified path is that of a disk or of memory.
pub(super) fn is_raw(path: &str) -> bool {
    RAW.iter().any(|beginning| path.starts_with(beginning))
}

fn devices(facts: &Facts) -> Finding {
    let found = facts.reach.items().iter().filter_map(|item| {
        let Subject::Device { path, permissions } = &item.subject else { return None };
        let writes = permissions.contains('w');
        let path = simplified(path);
        let (exposure, at_least) = match path.as_str() {
            path if is_raw(path) => (100, if writes { 95 } else { 75 }),
            "/dev/net/tun" => (20, 0),
            "/dev/fuse" => (30, 0),
            _ if writes => (60, 0),
            _ => (40, 0),
        };
        Some(Finding { exposure, at_least, details: vec![item.line()] })
    });
    Finding::worst(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_host_by_what_they_are_worth() {
        use Owners::{Each, HostRoot, Nobody, Source};
        for (source, write, owners, expected) in [
            ("/srv/web", false, Each, (20, 0)),
            ("/srv/web", true, Each, (60, 0)),
            ("/srv/web", true, HostRoot, (80, 0)),
            ("/srv/web", true, Nobody, (30, 0)),
            ("/", true, Each, (100, 95)),
            ("//", true, Source, (100, 95)),
            ("/", false, Nobody, (100, 95)),
            ("/etc/ssh", true, Each, (100, 95)),
            ("//etc//ssh", true, Each, (100, 95)),
            ("/srv/../etc/./ssh", true, Each, (100, 95)),
            ("/etc/ssh/", false, Each, (60, 50)),
            ("/etc", true, Nobody, (30, 0)),
            ("/etcetera", true, Each, (60, 0)),
            ("/root/", false, Each, (60, 50)),
            ("/root/.ssh", true, Source, (100, 95)),
            ("/lib/systemd", true, Each, (100, 95)),
            ("/var/lib/postgresql", true, Each, (60, 0)),
            ("/var/lib//", true, Each, (100, 95)),
            ("/run/docker.sock", false, Nobody, (100, 95)),
            ("/var/run/docker.sock", false, Nobody, (100, 95)),
            ("/var//run/../run/", false, Each, (100, 95)),
            ("/run/dockerish", false, Nobody, (10, 0)),
            ("/run/systemd/journal", false, Each, (100, 95)),
            ("/nix/store", false, HostRoot, (30, 0)),
            ("/nix/store", true, HostRoot, (100, 95)),
            ("/nix/var/", true, Each, (100, 95)),
            ("/nix/var/", false, HostRoot, (100, 90)),
            ("/nix/var/", false, Each, (50, 0)),
            ("/nix/var/nix/db", false, HostRoot, (30, 0)),
            ("/nix/var/nix/daemon-socket//socket", false, HostRoot, (100, 90)),
            ("/nix/var/nix/daemon-socket/socket", false, Nobody, (50, 0)),
        ] {
            assert_eq!(bind(source, write, true, owners), expected, "{source} {write} {owners:?}");
        }
        // Without the file systems below.
        assert_eq!(bind("/", false, false, Each), (60, 50));
        assert_eq!(bind("/", false, false, HostRoot), (100, 90));
        assert_eq!(bind("/run", false, false, Each), (100, 95));
    }

    #[test]
    fn paths_are_simplified() {
        for (path, expected) in [
            ("/", "/"),
            ("///", "/"),
            ("/..", "/"),
            ("/a//b/./c/", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/var/run", "/run"),
            ("/var/run/../a", "/a"),
            ("/var/runs", "/var/runs"),
            ("/srv/var/run", "/srv/var/run"),
        ] {
            assert_eq!(simplified(path), expected, "{path}");
        }
    }
}
