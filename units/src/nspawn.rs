//! The .nspawn file of a container (`systemd.nspawn(5)`). Every setting we rely on is written out, even if it is the
//! default of nspawn or the template, so that the file means the same on any supported version.

mod exec;
pub mod files;
pub mod host_nix;
pub mod id_mapping;
mod network;

use crate::intent::{Container, FreeSettings, Intent};
use systemd_unit_syntax::escape::{self, EscapeError};
use systemd_unit_syntax::settings::{setting, yes_no};
use systemd_unit_syntax::{Section, UnitFile};

/// Returns the settings of the container, with comments for people; the caller adds the header.
///
/// ```
/// use nixos_nspawn_units::intent::Intent;
/// use nixos_nspawn_units::nspawn::nspawn_file;
///
/// let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
/// let file = nspawn_file(&Intent::new("web".parse()?, toplevel.parse()?))?;
/// assert_eq!(file.values("Network", "VirtualEthernet").collect::<Vec<_>>(), ["yes"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn nspawn_file(intent: &Intent) -> Result<UnitFile, EscapeError> {
    // Destructured without `..`: a new option does not compile until it is emitted or named here.
    let Intent {
        version: _,
        name,
        toplevel,
        source: _,
        profile: _,
        generation: _,
        autostart: _,
        overrides: _,
        container,
    } = intent;
    let Container {
        activation: _,               // For updates; reloadScript is in service.rs.
        bind_mounts: _,              // nspawn/files.rs
        bridge: _,                   // network.rs
        container_network_config: _, // Part of the system inside.
        credentials: _,              // nspawn has no setting for them: see service.rs.
        declarative: _,
        ephemeral,
        forward_ports,
        host_network_config: _, // Not part of this file: see network.rs of the library.
        mount_daemon_socket: _, // nspawn/host_nix.rs
        shared_nix: _,          // Always true.
        system_call_filter,
        memory_max: _, // service/limits.rs, as all up to tasks_max
        memory_high: _,
        cpu_quota: _,
        cpu_weight: _,
        io_weight: _,
        tasks_max: _,
        devices: _, // nspawn/files.rs, as all up to kernel_log
        tun: _,
        fuse: _,
        kernel_log: _,
        capabilities: _,       // nspawn/exec.rs
        tmpfs: _,              // nspawn/files.rs
        inaccessible_paths: _, // nspawn/files.rs
        hostname: _,           // nspawn/exec.rs, as all up to rlimits
        timezone: _,
        resolv_conf: _,
        environment: _,
        oom_score_adjust: _,
        rlimits: _,
        user_namespacing,
        zone: _,              // network.rs
        network: _,           // network.rs
        macvlan: _,           // network.rs
        ipvlan: _,            // network.rs
        interfaces: _,        // network.rs
        extra_veths: _,       // network.rs
        namespace_path: _,    // network.rs
        timeout_start_sec: _, // service.rs
        nspawn_config,
        service_config: _, // service.rs
        after: _,          // service.rs
        requires: _,       // service.rs
        wants: _,          // service.rs
        unit_config: _,    // service.rs
    } = container;
    let mut file = UnitFile::default();

    let exec = file.section("Exec");
    // Boot=no with Parameters= makes nspawn run an init that is not at a well-known place. KillSignal= and NotifyReady=
    // then stop and await PID 1, as Boot=yes would imply.
    exec.fixed("Boot", "no");
    exec.set("Parameters", escape::nspawn_word(&toplevel.init())?);
    exec.fixed("KillSignal", "SIGRTMIN+3");
    exec.fixed("NotifyReady", "yes");
    exec.fixed("Ephemeral", yes_no(*ephemeral));
    // A journal linked into a root that vanishes would dangle. As in the template, a host without a persistent journal is no
    // reason to fail.
    exec.fixed("LinkJournal", if *ephemeral { "auto" } else { "try-guest" });
    exec.fixed("PrivateUsers", if *user_namespacing { "pick" } else { "no" });
    if let Some(filter) = system_call_filter {
        exec.set("SystemCallFilter", filter.as_str());
    }
    exec::set(exec, container)?;
    merge(exec, &nspawn_config.exec, |_, _| true);

    let files = file.section("Files");
    // PrivateUsers=pick alone would chown the whole root on systemd < 262 (nspawn-settings.c), and `auto` maps it.
    let in_user_namespace = container.in_user_namespace();
    files.fixed("PrivateUsersOwnership", if in_user_namespace { "auto" } else { "off" });
    // parse() gives every intent a name.
    let name = name.as_ref().map_or("", |name| name.as_str());
    host_nix::set(files, name, container);
    files::set(files, name, container)?;
    merge(files, &nspawn_config.files, |key, value| !host_nix::is_repeated(key, value, container));

    let network = file.section("Network");
    network::interfaces(network, container);
    // Socket units forward the others: see socket.rs.
    for port in forward_ports.iter().filter(|port| port.by_nspawn()) {
        let (outside, inside) = (port.host_port.get(), port.inside().get());
        network.set("Port", format!("{}:{outside}:{inside}", port.protocol));
    }
    merge(network, &nspawn_config.network, |_, _| true);
    Ok(file)
}

/// Returns whether a setting of [Files] lets the container write to a source on the host.
pub fn is_writable_mount(key: &str) -> bool {
    matches!(key, "Bind" | "Overlay")
}

/// Adds free-form settings: a list is continued, any other setting replaces ours, since of two `Boot=` the last does
/// not simply win (systemd-nspawn keeps the first of two in conflict). Only `wanted` values are added.
fn merge(section: &mut Section, free: &FreeSettings, wanted: impl Fn(&str, &str) -> bool) {
    if free.is_empty() {
        return;
    }
    let name = std::mem::take(&mut section.name);
    // Nix writes null and [] for "not set".
    section.remove_if(|key, _| free.sets(key) && !setting(&name, key).is_some_and(|known| known.list));
    section.name = name;
    for (key, values) in free.iter() {
        for value in values.iter().filter(|value| wanted(key, value)) {
            section.set(key.to_owned(), value);
        }
    }
}
