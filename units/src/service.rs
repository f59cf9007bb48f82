//! The drop-in for systemd-nspawn@NAME.service, in two forms: one starts the container, one refuses to. The stock
//! template's own lines stay in force, except where nspawn has no setting (credentials).

mod limits;

use crate::intent::{Activation, BindSource, Container, Credential, Dependency, Intent};
use crate::name::MachineName;
use crate::value::single_slashes;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::escape::{self, EscapeError};
use systemd_unit_syntax::words::bind_fields;

/// The second mode of the generator's binary, which the drop-in calls. It is installed outside of system-generators,
/// where SELinux policies confine programs.
pub const HELPER: &str = match option_env!("NIXOS_NSPAWN_HELPER") {
    Some(path) => path,
    None => "/usr/local/libexec/nixos-nspawn/unit-helper",
};

/// The default start timeout, as in python-nixos-nspawn.
pub const DEFAULT_TIMEOUT: &str = "90s";

/// The variable of the unit that tells ctl which plan PID 1 has loaded.
pub const PLAN_VARIABLE: &str = "NIXOS_NSPAWN_PLAN";

/// The template's `ExecStart=`, the same in 252–262. `--prepare` warns if the host's differs.
pub const TEMPLATE: &str = "systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest --network-veth -U \
                            --settings=override --machine=%i";

/// How the command that reloads a container begins, unless it has a script of its own.
const RELOAD: &str =
    "systemd-run --quiet --machine=%i --collect --no-ask-password --pipe --service-type=exec ";

/// Returns the unit of a container. Machine names need no escaping in it (`systemd.unit(5)`).
pub fn unit_name(name: &MachineName) -> String {
    ["systemd-nspawn@", name.as_str(), ".service"].concat()
}

/// Returns the drop-in of a good intent, whose file is at `source`.
pub fn drop_in(name: &MachineName, intent: &Intent, source: &str) -> Result<UnitFile, EscapeError> {
    let Intent {
        version: _,
        name: _,
        toplevel,
        source: _,
        profile: _,
        generation: _,
        autostart: _,
        overrides: _,
        container,
    } = intent;
    let Container {
        activation:
            Activation {
                strategy: _,
                auto_start: _,
                reload_script,
                // Conditions for updates.
                expect: _,
                check: _,
                timeout: _,
                settle_sec: _,
                build_timeout: _,
                snapshot: _,
            },
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
        memory_max: _, // service/limits.rs, as all up to kernel_log
        memory_high: _,
        cpu_quota: _,
        cpu_weight: _,
        io_weight: _,
        tasks_max: _,
        devices: _,
        tun: _,
        fuse: _,
        kernel_log: _,
        capabilities: _,
        tmpfs: _,
        inaccessible_paths: _,
        hostname: _,
        timezone: _,
        resolv_conf: _,
        environment: _,
        oom_score_adjust: _,
        rlimits: _,
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
        after,
        requires,
        wants,
        unit_config,
    } = container;
    let mut file = UnitFile::default();

    let unit = file.section("Unit");
    unit.set("SourcePath", escape::unit_raw(source)?);
    for other in wants {
        unit.set("Wants", other.unit());
    }
    for other in requires {
        unit.set("Requires", other.unit());
    }
    let mut waits: Vec<&Dependency> = after.iter().chain(requires).collect();
    waits.sort_unstable();
    waits.dedup();
    for other in waits {
        unit.set("After", other.unit());
    }
    // What must be mounted before nspawn looks at it, in particular before it would create a bind source.
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
    let secrets = credentials.iter().filter_map(Credential::file);
    let free = free_sources.iter().map(String::as_str);
    let root = ["/var/lib/machines/", name.as_str()].concat();
    unit.fixed("RequiresMountsFor", "/nix/store");
    for path in std::iter::once(root.as_str()).chain(sources).chain(free).chain(secrets) {
        unit.set("RequiresMountsFor", escape::requires_mounts_for(path)?);
    }
    for (key, values) in unit_config.iter() {
        for value in values {
            unit.set(key.to_owned(), value);
        }
    }

    let service = file.section("Service");
    // nspawn ≤ 256 looks for systemd in the root to choose the cgroup version; a NixOS root has none to find.
    service.fixed("Environment", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1");
    for credential in credentials {
        let Credential { id, path, encrypted: _ } = credential;
        let id = escape::unit_raw(id.as_str())?;
        let value = match path {
            Some(path) => [&id, ":", &escape::unit_raw(&single_slashes(path.as_str()))?].concat(),
            None => id,
        };
        service.set(credential.setting(), value);
    }
    service.set("ExecStartPre", [HELPER, " --prepare ", name.as_str()].concat());
    if !credentials.is_empty() {
        // The template's line and the credentials, which no .nspawn setting passes on.
        let mut line = String::with_capacity(TEMPLATE.len() + 64 * credentials.len());
        line.push_str(TEMPLATE);
        for Credential { id, path: _, encrypted: _ } in credentials {
            let argument = ["--load-credential=", id.as_str(), ":", id.as_str()].concat();
            line.push(' ');
            line.push_str(&escape::exec_argument(&argument)?);
        }
        service.fixed("ExecStart", "");
        service.set("ExecStart", line);
    }
    service.set(
        "ExecReload",
        match reload_script {
            Some(script) => escape::executable(script.as_str())?,
            None => {
                let program = [toplevel.as_str(), "/bin/switch-to-configuration"].concat();
                [RELOAD, &escape::exec_argument(&program)?, " test"].concat()
            }
        },
    );
    service.set("ExecStopPost", ["-", HELPER, " --release ", name.as_str()].concat());
    match timeout_start_sec {
        Some(timeout) => service.set("TimeoutStartSec", timeout.as_str()),
        None => service.fixed("TimeoutStartSec", DEFAULT_TIMEOUT),
    };
    limits::set(service, container)?;
    for (key, values) in service_config.iter() {
        for value in values {
            service.set(key.to_owned(), value);
        }
    }
    Ok(file)
}

/// Returns the drop-in of a refused intent, which only refuses the start. A container that still runs keeps running,
/// and releases its files when it stops.
pub fn refusing_drop_in(name: &MachineName, source: &str) -> UnitFile {
    let mut file = UnitFile::default();
    let unit = file.section("Unit");
    if let Ok(source) = escape::unit_raw(source) {
        unit.set("SourcePath", source);
    }
    // Every try must show the reason, not "start request repeated too quickly".
    unit.fixed("StartLimitIntervalSec", "0");
    let service = file.section("Service");
    service.set("ExecStartPre", format!("{HELPER} --refuse {name}"));
    service.set("ExecStopPost", ["-", HELPER, " --release ", name.as_str()].concat());
    file
}
