//! The drop-in for systemd-nspawn@NAME.service, in two forms: one that starts the container, one that refuses to.
//! An intent goes in, a [`UnitFile`] comes out. The stock template's own lines stay in force unless nspawn offers
//! no setting (credentials).

use crate::intent::{Activation, BindSource, Container, Credential, Intent};
use crate::name::MachineName;
use crate::syntax::UnitFile;
use crate::syntax::escape::{self, EscapeError};
use crate::syntax::words::bind_fields;

/// The second mode of the generator's binary, called by the drop-in. It is installed outside of system-generators,
/// whose programs SELinux policies confine.
pub const HELPER: &str = match option_env!("NIXOS_NSPAWN_HELPER") {
    Some(path) => path,
    None => "/usr/local/libexec/nixos-nspawn/unit-helper",
};

/// The start timeout of a container that says nothing, as in python-nixos-nspawn.
pub const DEFAULT_TIMEOUT: &str = "90s";

/// The variable of the unit by which ctl sees whether PID 1 has loaded this plan.
pub const PLAN_VARIABLE: &str = "NIXOS_NSPAWN_PLAN";

/// The unit of a container. Machine names need no escaping in it (`systemd.unit(5)`).
pub fn unit_name(name: &MachineName) -> String {
    format!("systemd-nspawn@{name}.service")
}

/// The drop-in of a good intent, whose file is at `source`.
pub fn drop_in(name: &MachineName, intent: &Intent, source: &str) -> Result<UnitFile, EscapeError> {
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
        activation: Activation { strategy: _, auto_start: _, reload_script },
        bind_mounts,
        bridge: _,
        container_network_config: _,
        credentials,
        declarative: _,
        ephemeral: _,
        forward_ports: _,
        host_network_config: _,
        mount_daemon_socket: _,
        shared_nix: _,
        system_call_filter: _,
        user_namespacing: _,
        zone: _,
        network: _,
        macvlan: _,
        ipvlan: _,
        interfaces: _,
        extra_veths: _,
        namespace_path: _,
        timeout_start_sec,
        nspawn_config,
        service_config,
        unit_config,
    } = container;
    let mut file = UnitFile::default();

    let unit = file.section("Unit");
    unit.set("SourcePath", escape::unit_raw(source)?);
    // What must be mounted before nspawn looks at it, in particular before a bind source would be made.
    let sources = bind_mounts.iter().filter_map(|mount| match &mount.source {
        BindSource::Host(path) => Some(path.as_str()),
        BindSource::Root(_) | BindSource::Temporary => None,
    });
    let free_files = &nspawn_config.files;
    let free_sources: Vec<String> = ["Bind", "BindReadOnly"]
        .iter()
        .flat_map(|key| free_files.get(key).unwrap_or_default())
        .filter_map(|value| Some(bind_fields(value).ok()?.source))
        .filter(|source| source.starts_with('/'))
        .collect();
    let secrets = credentials.iter().filter_map(|credential| credential.path.path());
    let free = free_sources.iter().map(String::as_str);
    let root = format!("/var/lib/machines/{name}");
    for path in ["/nix/store", root.as_str()].into_iter().chain(sources).chain(free).chain(secrets) {
        unit.set("RequiresMountsFor", escape::requires_mounts_for(path)?);
    }
    for (key, values) in unit_config.iter() {
        for value in values {
            unit.set(key, value);
        }
    }

    let service = file.section("Service");
    // nspawn ≤ 256 looks for systemd in the root to choose the cgroup version; a NixOS root has none to find.
    service.set("Environment", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1");
    for Credential { id, path } in credentials {
        service.set(
            "LoadCredential",
            format!("{}:{}", escape::unit_raw(id.as_str())?, escape::unit_raw(path.as_str())?),
        );
    }
    service.set("ExecStartPre", format!("{HELPER} --prepare {name}"));
    if !credentials.is_empty() {
        // The template's line (the same in 252–262) and the credentials, which no .nspawn setting passes on.
        let mut line = String::from(
            "systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest --network-veth -U \
             --settings=override --machine=%i",
        );
        for Credential { id, path: _ } in credentials {
            line.push(' ');
            line.push_str(&escape::exec_argument(&format!("--load-credential={id}:{id}"))?);
        }
        service.set("ExecStart", "");
        service.set("ExecStart", line);
    }
    service.set("ExecReload", match reload_script {
        Some(script) => escape::executable(script.as_str())?,
        None => format!(
            "systemd-run --quiet --machine=%i --collect --no-ask-password --pipe --service-type=exec {} test",
            escape::exec_argument(&format!("{}/bin/switch-to-configuration", toplevel.as_str()))?
        ),
    });
    service.set("ExecStopPost", format!("-{HELPER} --release {name}"));
    service.set(
        "TimeoutStartSec",
        timeout_start_sec.as_ref().map_or(DEFAULT_TIMEOUT, |timeout| timeout.as_str()),
    );
    for (key, values) in service_config.iter() {
        for value in values {
            service.set(key, value);
        }
    }
    Ok(file)
}

/// The drop-in of an intent that cannot be used: its only act is to refuse the start. A container that still runs
/// from before keeps running, and releases its files when it stops.
pub fn refusing_drop_in(name: &MachineName, source: &str) -> Result<UnitFile, EscapeError> {
    let mut file = UnitFile::default();
    let unit = file.section("Unit");
    unit.set("SourcePath", escape::unit_raw(source)?);
    // The reason must be shown at every try, not "start request repeated too quickly".
    unit.set("StartLimitIntervalSec", "0");
    let service = file.section("Service");
    service.set("ExecStartPre", format!("{HELPER} --refuse {name}"));
    service.set("ExecStopPost", format!("-{HELPER} --release {name}"));
    Ok(file)
}
