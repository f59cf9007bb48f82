//! What the rows are found from: the options, the reach that they give, and the capabilities that nspawn leaves.

use std::collections::BTreeSet;

use super::names::named;
use crate::intent::{Activation, CAPABILITIES, Container, Network};
use crate::reach::{Item, Reach, Subject};
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::words::plain_words;

/// What is known of a container.
pub(super) struct Facts<'a> {
    pub(super) options: &'a Container,
    pub(super) reach: Reach,
    /// Whether its root is another user than the host's.
    pub(super) in_user_namespace: bool,
    /// The capabilities that its processes can have.
    pub(super) held: BTreeSet<&'static str>,
}

/// The capabilities that nspawn leaves to a container (`systemd.nspawn(5)`), the same in systemd 257 and 262.
const BY_DEFAULT: [&str; 26] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_NICE",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TTY_CONFIG",
];

impl<'a> Facts<'a> {
    pub(super) fn of(options: &'a Container) -> Self {
        // Destructured without `..`: a new option does not compile until a row accounts for it, or it is named here as one that
        // opens nothing. docs/hardening.md has the reasons, and a test holds each option against it.
        let Container {
            // limits.rs, as are conditions of updates, which open nothing.
            activation:
                Activation {
                    strategy: _,
                    auto_start: _,
                    reload_script: _,
                    expect: _,
                    check: _,
                    timeout: _,
                    settle_sec: _,
                    build_timeout: _,
                    snapshot: _,
                },
            // files.rs
            bind_mounts: _,
            credentials: _,
            mount_daemon_socket: _,
            shared_nix: _,
            devices: _,
            tun: _,
            fuse: _,
            kernel_log: _,
            resolv_conf: _,
            timezone: _,
            // network.rs
            bridge: _,
            zone: _,
            network: _,
            namespace_path: _,
            host_network_config: _,
            macvlan: _,
            ipvlan: _,
            interfaces: _,
            extra_veths: _,
            forward_ports: _,
            // limits.rs
            memory_max: _,
            memory_high: _,
            cpu_quota: _,
            cpu_weight: _,
            io_weight: _,
            tasks_max: _,
            oom_score_adjust: _,
            rlimits: _,
            tmpfs: _,
            requires: _,
            wants: _,
            service_config: _,
            unit_config: _,
            // rights.rs
            user_namespacing: _,
            system_call_filter: _,
            nspawn_config: _,
            // capabilities.rs
            capabilities: _,
            // These open nothing.
            container_network_config: _,
            declarative: _,
            ephemeral: _,
            inaccessible_paths: _,
            hostname: _,
            environment: _,
            timeout_start_sec: _,
            after: _,
        } = options;
        Self {
            options,
            reach: Reach::of(options),
            in_user_namespace: options.in_user_namespace(),
            held: held(options),
        }
    }

    /// Returns whether it uses the host's network; a free-form `Private=` wins over the option.
    pub(super) fn shares_network(&self) -> bool {
        shares_network(self.options)
    }

    /// Iterates over the lines of the reach whose subject is wanted.
    pub(super) fn lines<'b>(
        &'b self,
        wanted: impl Fn(&Item) -> bool + 'b,
    ) -> impl Iterator<Item = String> + 'b {
        self.reach.items().iter().filter(move |item| wanted(item)).map(Item::line)
    }

    /// Iterates over the lines of settings of this free-form option that no other row accounts for.
    pub(super) fn free(&self, option: &'static str, known: &'static [&'static str]) -> Vec<String> {
        let is = move |item: &Item| match &item.subject {
            Subject::Setting { option: of, key, .. } => *of == option && !known.contains(&key.as_str()),
            Subject::Value(of, words) => {
                *of == option
                    && item.gives()
                    && !words.first().is_some_and(|key| known.contains(&key.as_str()))
            }
            _ => false,
        };
        self.lines(is).collect()
    }
}

fn shares_network(options: &Container) -> bool {
    let free = options.nspawn_config.network.get("Private").and_then(|values| values.last());
    match free.and_then(|value| parse_boolean(value)) {
        Some(private) => !private,
        None => options.network == Network::Host,
    }
}

/// Returns the capabilities as nspawn computes them: its own list with what is added, without what is dropped.
fn held(options: &Container) -> BTreeSet<&'static str> {
    // systemd ignores the others.
    let free = |key: &str| -> Vec<&str> {
        let values = options.nspawn_config.exec.get(key).unwrap_or_default().iter();
        let words = values.flat_map(|value| plain_words(value).unwrap_or_default());
        words.filter_map(|word| if word == "all" { Some("all") } else { named(&word) }).collect()
    };
    let mut added: Vec<&str> = options.capabilities.add.iter().map(|one| one.as_str()).collect();
    added.extend(free("Capability"));
    added.extend(free("AmbientCapability"));
    if options.kernel_log {
        added.push("CAP_SYSLOG");
    }
    if !shares_network(options) {
        added.push("CAP_NET_ADMIN");
    }
    let mut dropped: Vec<&str> = options.capabilities.drop.iter().map(|one| one.as_str()).collect();
    dropped.extend(free("DropCapability"));
    let is = |list: &[&str], one: &str| list.contains(&one) || list.contains(&"all");
    CAPABILITIES
        .into_iter()
        .filter(|one| (BY_DEFAULT.contains(one) || is(&added, one)) && !is(&dropped, one))
        .collect()
}
