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
const CRITICAL: [&str; 13] = [
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/nix",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/usr",
    "/var",
    "/var/lib",
    "/var/lib/machines",
];

/// Sockets of the host, connecting to which makes one its root: a read-only mount is no obstacle.
const SOCKETS: [&str; 6] = [
    "/run/containerd",
    "/run/dbus",
    "/run/docker.sock",
    "/run/podman",
    "/run/systemd",
    "/var/run/docker.sock",
];

fn binds(facts: &Facts) -> Finding {
    let found = facts.reach.items().iter().filter_map(|item| {
        let Subject::Bind { source, write, below: _, owners } = &item.subject else { return None };
        let (exposure, at_least) = bind(source, *write, *owners);
        Some(Finding { exposure, at_least, details: vec![item.line()] })
    });
    Finding::worst(found.collect())
}

fn bind(source: &str, write: bool, owners: Owners) -> (u32, u32) {
    let source = match source.trim_end_matches('/') {
        "" => "/",
        rest => rest,
    };
    let within = |place: &str| source == place || source.starts_with(&format!("{place}/"));
    let nobody = owners == Owners::Nobody;
    match write {
        _ if SOCKETS.iter().any(|place| within(place)) || source == "/run" => (100, 95),
        true if !nobody && critical(source) => (100, 95),
        true if owners == Owners::HostRoot => (80, 0),
        true if nobody => (30, 0),
        true => (60, 0),
        false if critical(source) && !nobody => (60, 50),
        false if owners == Owners::HostRoot => (30, 0),
        false if nobody => (10, 0),
        false => (20, 0),
    }
}

/// Returns whether it is one of the directories, or below one that belongs to the host's configuration.
fn critical(source: &str) -> bool {
    let below = ["/boot/", "/dev/", "/etc/", "/proc/", "/sys/", "/usr/"];
    CRITICAL.contains(&source) || below.iter().any(|place| source.starts_with(place))
}

fn daemon(facts: &Facts) -> Finding {
    if !facts.options.mount_daemon_socket {
        return Finding::default();
    }
    match facts.in_user_namespace {
        true => Finding {
            exposure: 50,
            at_least: 0,
            details: vec!["as a user of the host whom it does not trust".to_owned()],
        },
        false => Finding { exposure: 100, at_least: 90, details: vec!["as root, whom it trusts".to_owned()] },
    }
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

fn devices(facts: &Facts) -> Finding {
    let found = facts.reach.items().iter().filter_map(|item| {
        let Subject::Device { path, permissions } = &item.subject else { return None };
        let writes = permissions.contains('w');
        let raw = RAW.iter().any(|beginning| path.starts_with(beginning));
        let (exposure, at_least) = match path.as_str() {
            _ if raw => (100, if writes { 95 } else { 75 }),
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
            ("/etc/ssh", true, Each, (100, 95)),
            ("/etc/ssh/", false, Each, (60, 50)),
            ("/etc", true, Nobody, (30, 0)),
            ("/var/lib/postgresql", true, Each, (60, 0)),
            ("/var/lib", true, Each, (100, 95)),
            ("/run/docker.sock", false, Nobody, (100, 95)),
            ("/run/dockerish", false, Nobody, (10, 0)),
            ("/run/systemd/journal", false, Each, (100, 95)),
        ] {
            assert_eq!(bind(source, write, owners), expected, "{source} {write} {owners:?}");
        }
    }
}
