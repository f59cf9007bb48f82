//! The reach of every option. The patterns name all fields, so that a new option does not compile until its reach is
//! decided; the reasons for those without one are in docs/reach.md.

use super::free;
use super::item::{Item, Items, Kind, Subject, value};
use super::{mounts, network};
use crate::intent::{
    Activation, Capabilities, Container, Credential, Device, FreeSettings, OomScoreAdjust, ResolvConf,
    Timezone, amounts,
};

/// Returns the items of these options, in the order of their kinds.
pub(super) fn items(container: &Container) -> Vec<Item> {
    let mut items = Items::default();
    let Container {
        activation:
            Activation {
                strategy: _,
                auto_start: _,
                reload_script,
                // Conditions for updates; the command runs inside.
                expect: _,
                check: _,
                timeout: _,
                settle_sec: _,
                build_timeout: _,
                // A copy of the container's own state, for root only.
                snapshot: _,
            },
        // With tmpfs and inaccessible paths, which may cover them.
        bind_mounts: _,
        tmpfs: _,
        inaccessible_paths: _,
        // With what free-form settings make of them.
        bridge: _,
        zone: _,
        network: _,
        namespace_path: _,
        host_network_config: _,
        container_network_config: _,
        credentials,
        declarative: _,
        ephemeral,
        forward_ports,
        mount_daemon_socket,
        // Only true is accepted.
        shared_nix: _,
        system_call_filter,
        memory_max,
        memory_high,
        cpu_quota,
        cpu_weight,
        io_weight,
        tasks_max,
        devices,
        tun,
        fuse,
        kernel_log,
        capabilities: Capabilities { add, drop },
        hostname: _,
        timezone,
        resolv_conf,
        environment: _,
        oom_score_adjust,
        rlimits,
        // With a free-form PrivateUsers=.
        user_namespacing: _,
        macvlan,
        ipvlan,
        interfaces,
        extra_veths,
        timeout_start_sec: _,
        nspawn_config,
        service_config,
        after: _,
        requires,
        wants,
        unit_config,
    } = container;

    mounts::mounts(&mut items, container);
    for Device { path, permissions } in devices {
        device(&mut items, path.as_str(), &permissions.to_string(), "devices");
    }
    for (option, path, _) in
        [("tun", "/dev/net/tun", tun), ("fuse", "/dev/fuse", fuse)].into_iter().filter(|(_, _, is)| **is)
    {
        device(&mut items, path, "rwm", option);
    }
    if *kernel_log {
        items.can(value("kernelLog", ""), "read the host's kernel log (kernelLog)");
    }
    credentials.iter().for_each(|credential| self::credential(&mut items, credential));
    if *mount_daemon_socket {
        items.can(value("mountDaemonSocket", ""), "talk to the host's Nix daemon (mountDaemonSocket)");
    }
    for capability in add {
        items.can(
            Subject::Capability(capability.to_string()),
            format!("use {capability}, which nspawn denies by default (capabilities.add)"),
        );
    }
    for capability in drop {
        items.cannot(
            Subject::Capability(capability.to_string()),
            format!("use {capability} (capabilities.drop)"),
        );
    }
    let filter = system_call_filter.as_ref().map(|filter| filter.as_str()).unwrap_or_default();
    let denies = filter.starts_with('~');
    for call in filter.trim_start_matches('~').split_whitespace() {
        match denies {
            true => items.cannot(
                value("systemCallFilter", call),
                format!("make system call {call} (systemCallFilter)"),
            ),
            false => items.can(
                value("systemCallFilter", call),
                format!("make system call {call}, which nspawn denies by default (systemCallFilter)"),
            ),
        }
    }
    network::networks(&mut items, container);
    network::interfaces(&mut items, [macvlan, ipvlan, interfaces, extra_veths]);
    network::ports(&mut items, forward_ports);
    if let Some(script) = reload_script {
        items.can(
            value("activation.reloadScript", script.as_str()),
            format!("have {script} run on the host at a reload (activation.reloadScript)"),
        );
    }
    for (option, others) in [("requires", requires), ("wants", wants)] {
        for other in others {
            items.can(value("requires", other.unit()), format!("have {} started ({option})", other.unit()));
        }
    }
    if container.in_user_namespace() {
        items.cannot(value("userNamespacing", ""), "act as the host's root (userNamespacing)");
    }
    if *ephemeral {
        items.cannot(value("ephemeral", ""), "keep what it writes beyond a stop (ephemeral)");
    }

    let text = |limit: Option<&str>| limit.map(str::to_owned);
    let mut limits: Vec<(String, &str, Option<String>)> = vec![
        ("MemoryMax".into(), "memoryMax", text(memory_max.as_ref().map(|limit| limit.as_str()))),
        ("MemoryHigh".into(), "memoryHigh", text(memory_high.as_ref().map(|limit| limit.as_str()))),
        ("CPUQuota".into(), "cpuQuota", text(cpu_quota.as_ref().map(|limit| limit.as_str()))),
        ("CPUWeight".into(), "cpuWeight", text(cpu_weight.as_ref().map(|limit| limit.as_str()))),
        ("IOWeight".into(), "ioWeight", text(io_weight.as_ref().map(|limit| limit.as_str()))),
        ("TasksMax".into(), "tasksMax", text(tasks_max.as_ref().map(|limit| limit.as_str()))),
        ("OOMScoreAdjust".into(), "oomScoreAdjust", oom_score_adjust.map(score)),
    ];
    for (name, limit) in rlimits.iter() {
        limits.push((format!("Limit{name}"), "rlimits", Some(limit.to_string())));
    }
    for (setting, option, set) in limits {
        limit(&mut items, setting, option, set, service_config);
    }
    free::settings(&mut items, nspawn_config, service_config, unit_config, |option, key| {
        option == "serviceConfig" && LIMITS.contains(&key)
    });
    // nspawn mounts these read-only, but root can change that unless it is in a user namespace.
    let words =
        [("resolvConf", resolv_conf.map(ResolvConf::as_str)), ("timezone", timezone.map(Timezone::as_str))];
    for (option, word) in words {
        if let Some(word) = word.filter(|word| word.starts_with("bind") && !container.in_user_namespace()) {
            items.can(value(option, word), format!("write the host's file that {word} mounts ({option})"));
        }
    }
    items.sorted()
}

/// The limits that serviceConfig can set as well; its last value wins over the option.
const LIMITS: [&str; 6] = ["CPUQuota", "CPUWeight", "IOWeight", "MemoryHigh", "MemoryMax", "TasksMax"];

fn limit(items: &mut Items, setting: String, option: &str, set: Option<String>, service: &FreeSettings) {
    let free = Some(&setting).filter(|name| LIMITS.contains(&name.as_str()));
    let free = free.and_then(|name| service.get(name)).and_then(|values| values.last());
    let (option, value) = match free {
        Some(value) => ("serviceConfig", Some(value.clone())),
        None => (option, set),
    };
    let Some(value) = value else { return };
    let text = format!("{setting}={value} ({option})");
    // An empty value is the manager's default.
    let allowed = if value.is_empty() { Vec::new() } else { amounts(&setting, Some(&value)) };
    items.push(Kind::Resource, Subject::Amount { setting, amounts: allowed, value: Some(value) }, text);
}

fn score(score: OomScoreAdjust) -> String {
    score.get().to_string()
}

fn device(items: &mut Items, path: &str, permissions: &str, option: &str) {
    items.can(
        Subject::Device { path: path.to_owned(), permissions: permissions.to_owned() },
        format!("use the device {path} with {permissions} ({option})"),
    );
}

fn credential(items: &mut Items, credential: &Credential) {
    let Credential { id, path: _, encrypted } = credential;
    let source = credential.source();
    let place = match credential.file() {
        Some(path) => path.to_owned(),
        None => format!("{source} of the host's credential store"),
    };
    let how = if *encrypted { ", decrypted by the host" } else { "" };
    items.can(
        Subject::Value("credentials", vec![id.to_string(), source.to_owned(), encrypted.to_string()]),
        format!("read {place} as credential {id}{how} (credentials)"),
    );
}
