//! The .nspawn file of a container (`systemd.nspawn(5)`). An intent goes in, a [`UnitFile`] comes out. Every setting
//! we rely on is written out, also where it is nspawn's or the template's default, so that the file says what
//! will be in force on any supported version.

mod network;

use crate::intent::{Activation, BindMount, BindSource, Container, ForwardPort, FreeSettings, Intent};
use crate::syntax::escape::{self, EscapeError};
use crate::syntax::settings::setting;
use crate::syntax::{Section, UnitFile};

/// The settings of the container; comments for people are in it, the header is left to the caller.
pub fn nspawn_file(intent: &Intent) -> Result<UnitFile, EscapeError> {
    // Destructured without `..`: a new option does not compile until it is emitted or named here.
    let Intent {
        version: _,
        name: _,
        toplevel,
        source: _,
        profile: _,
        generation: _,
        autostart: _,
        container,
    } = intent;
    let Container {
        activation: Activation { strategy: _, auto_start: _, reload_script: _ },
        bind_mounts,
        bridge: _,                   // network.rs
        container_network_config: _, // Part of the system inside.
        credentials: _,              // nspawn has no setting for them: see service.rs.
        declarative: _,
        ephemeral,
        forward_ports,
        host_network_config: _, // No part of it, see network.rs of the library.
        mount_daemon_socket,
        shared_nix: _, // Always true.
        system_call_filter,
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
        unit_config: _,    // service.rs
    } = container;
    let mut file = UnitFile::default();

    let exec = file.section("Exec");
    // Boot=no with Parameters= is how nspawn runs an init that is not at one of its well-known places; PID 1 is then
    // stopped by KillSignal= and waited for by NotifyReady=, which Boot=yes would imply.
    exec.set("Boot", "no");
    exec.set("Parameters", escape::nspawn_word(&toplevel.init())?);
    exec.set("KillSignal", "SIGRTMIN+3");
    exec.set("NotifyReady", "yes");
    exec.set("Ephemeral", yes_no(*ephemeral));
    // A journal linked into a root that vanishes would dangle.
    exec.set("LinkJournal", if *ephemeral { "auto" } else { "guest" });
    exec.set("PrivateUsers", if *user_namespacing { "pick" } else { "no" });
    if let Some(filter) = system_call_filter {
        exec.set("SystemCallFilter", filter.as_str());
    }
    merge(exec, &nspawn_config.exec);

    let files = file.section("Files");
    // PrivateUsers=pick alone would chown the whole root on systemd < 262 (nspawn-settings.c), and `auto` maps it.
    let in_user_namespace = container.in_user_namespace();
    files.set("PrivateUsersOwnership", if in_user_namespace { "auto" } else { "off" });
    // Without the mapping, root's files in the store would be nobody's inside.
    let mapped = if in_user_namespace { ":rootidmap" } else { "" };
    files.set("BindReadOnly", format!("/nix/store:/nix/store{mapped}"));
    files.set("BindReadOnly", format!("/nix/var/nix/profiles:/nix/var/nix/profiles{mapped}"));
    if *mount_daemon_socket {
        files.set("BindReadOnly", format!("/nix/var/nix/db:/nix/var/nix/db{mapped}"));
        files.set("Bind", format!("/nix/var/nix/daemon-socket:/nix/var/nix/daemon-socket{mapped}"));
    }
    for mount in bind_mounts {
        if mount.loses_options(in_user_namespace) {
            files.comment("id mapping is left out: it means nothing without userNamespacing, and nspawn would fail on it");
        }
        files.set("Bind", bind(mount, in_user_namespace)?);
    }
    merge(files, &nspawn_config.files);

    let network = file.section("Network");
    network::interfaces(network, container);
    for ForwardPort { host_port, container_port, protocol } in forward_ports {
        let inside = container_port.unwrap_or(*host_port);
        network.set("Port", format!("{protocol}:{}:{}", host_port.get(), inside.get()));
    }
    merge(network, &nspawn_config.network);
    Ok(file)
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn bind(mount: &BindMount, in_user_namespace: bool) -> Result<String, EscapeError> {
    let source = match &mount.source {
        BindSource::Host(path) => escape::bind_field(path.as_str())?,
        BindSource::Root(path) => format!("+{}", escape::bind_field(path.as_str())?),
        BindSource::Temporary => String::new(),
    };
    let mut text = format!("{source}:{}", escape::bind_field(mount.destination.as_str())?);
    let options: Vec<&str> = mount.options_in_force(in_user_namespace).collect();
    if !options.is_empty() {
        text.push(':');
        text.push_str(&options.join(","));
    }
    Ok(text)
}

/// Adds free-form settings: a list goes on, any other setting takes the place of ours, since a second
/// `Boot=` is not simply the last that wins (systemd-nspawn keeps the first of two in conflict).
fn merge(section: &mut Section, free: &FreeSettings) {
    // null and [] are how Nix writes "not set".
    for (key, values) in free.iter().filter(|(_, values)| !values.is_empty()) {
        if !setting(&section.name, key).is_some_and(|known| known.list) {
            section.remove(key);
        }
        for value in values {
            section.set(key, value);
        }
    }
}
