//! Prepares the network before a container starts: checks that the host's interfaces it needs exist, and gives
//! networkd the file for the host's end of its link. A missing interface is an error, since nspawn fails on it.
//! Trouble with networkd is a warning, since the container runs without it.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nixos_nspawn_units::copies;
use nixos_nspawn_units::copies::NetworkText;
use nixos_nspawn_units::name::MachineName;
use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketType, socket};
use systemd_unit_syntax::UnitFile;

use crate::failure::Failure;
use crate::log::Log;

/// How long a program of systemd may take; a start must not hang on it.
const LIMIT: Duration = Duration::from_secs(5);

/// Fails if an interface that the settings name is missing. The bridge of a zone is made by nspawn.
pub(crate) fn check(root: &Path, name: &MachineName, file: &UnitFile) -> Result<(), Failure> {
    // The interfaces belong to the running host, not to another tree.
    if root != Path::new("/") {
        return Ok(());
    }
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return Ok(()) };
    let refused =
        |interface: &str, what: &str, next: &str| Err(Failure::not_started(interface, what, name, next));
    if let Some(bridge) = file.values("Network", "Bridge").last().filter(|bridge| !bridge.is_empty()) {
        match real_name(&socket, bridge) {
            None => {
                let next = "; create it, for instance with 'ip link add', or use a zone, whose bridge nspawn creates";
                return refused(bridge, "the host has no such bridge", next);
            }
            Some(real) if !Path::new("/sys/class/net").join(&real).join("bridge").exists() => {
                return refused(bridge, "is an interface of the host, but not a bridge", "");
            }
            Some(_) => {}
        }
    }
    for key in ["Interface", "MACVLAN", "IPVLAN"] {
        for word in file.values("Network", key).flat_map(str::split_whitespace) {
            let interface = word.split(':').next().unwrap_or_default();
            if real_name(&socket, interface).is_none() {
                return refused(interface, &format!("the host has no such interface ({key}=)"), "");
            }
        }
    }
    if let Some(path) = file.values("Network", "NamespacePath").last().filter(|path| !path.is_empty()) {
        if !Path::new(path).exists() {
            return refused(
                path,
                "the host has no such network namespace",
                "; create it with 'ip netns add'",
            );
        }
    }
    Ok(())
}

/// Returns the real name of an interface, given any of its names.
fn real_name(socket: &OwnedFd, name: &str) -> Option<String> {
    index_to_name(socket, name_to_index(socket, name).ok()?).ok()
}

/// Gives networkd the configuration of the host's end, or removes an earlier one if there is none now.
pub(crate) fn put(root: &Path, name: &MachineName, wanted: Option<&NetworkText>, log: &Log) {
    let own = || copies::own_network_path(root, name);
    let path = wanted.map_or_else(own, |wanted| copies::network_path(root, &wanted.file_name));
    let changed = copies::put_network(root, name, wanted).unwrap_or_else(|error| {
        log.warning(&format!(
            "{}: {error}, the host's end of the link to container '{name}' is not configured",
            path.display()
        ));
        false
    });
    let swept = copies::sweep_networks(root, |name| copies::intended(root, name));
    let told = changed || !swept.is_empty();
    let asked = wanted.is_some_and(|wanted| wanted.asked);
    if !asked && !told {
        return;
    }
    // If PID 1 is too busy to answer, assume that networkd runs.
    let off = run("systemctl", &["is-active", "--quiet", "systemd-networkd.service"])
        .is_ok_and(|status| !status.success());
    if off && asked {
        log.warning(&format!(
            "systemd-networkd is not running on the host, hostNetworkConfig of container '{name}' has no effect; run \
             'systemctl enable --now systemd-networkd'"
        ));
    } else if told && !off {
        let failed = match run("networkctl", &["reload"]) {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("networkctl: {status}")),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = failed {
            log.warning(&format!(
                "{}: systemd-networkd did not load it: {reason}; run 'networkctl reload' to try again",
                path.display()
            ));
        }
    }
}

/// Where to look for programs: in `$PATH`, then where NixOS and other distributions keep them.
const FOLDERS: [&str; 3] = ["", "/run/current-system/sw/bin/", "/usr/bin/"];

/// Runs a program of systemd and waits for it. Returns an error if it cannot run, and kills it after [`LIMIT`].
fn run(program: &str, words: &[&str]) -> Result<ExitStatus, String> {
    let started = FOLDERS.iter().find_map(|folder| {
        let mut command = Command::new(format!("{folder}{program}"));
        let command = command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            spawned => Some(spawned),
        }
    });
    let mut child = match started {
        None => return Err(format!("{program}: not found")),
        Some(Err(error)) => return Err(format!("{program}: {error}")),
        Some(Ok(child)) => child,
    };
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begin.elapsed() < LIMIT => sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program}: took longer than {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(format!("{program}: {error}")),
        }
    }
}
