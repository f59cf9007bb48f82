//! Translates arguments of systemd-nspawn.

use super::Translation;
use super::limits::limit;
use super::mounts::{Said, bind};
use super::network::NetworkSaid;

/// Flags whose value may follow as the next word.
const SHORT: [(&str, &str); 4] =
    [("-p", "--port"), ("-E", "--setenv"), ("-n", "--network-veth"), ("-x", "--ephemeral")];

/// Flags without a value.
const PLAIN: [&str; 5] = ["--network-veth", "--private-network", "--ephemeral", "--read-only", "--quiet"];

/// Translates the words of `EXTRA_NSPAWN_FLAGS`, which the start script splits at spaces and takes literally.
pub(super) fn flags(text: &str, translation: &mut Translation) -> NetworkSaid {
    let mut network = NetworkSaid::default();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let name = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| *long);
        let value = match value {
            None if !PLAIN.contains(&name) => words.next(),
            value => value,
        };
        flag(name, value.unwrap_or_default(), &mut network, translation);
    }
    network
}

fn flag(name: &str, value: &str, network: &mut NetworkSaid, to: &mut Translation) {
    let list = |to: &mut Translation, option: &str| {
        value.split(',').filter(|item| !item.is_empty()).for_each(|item| to.push(option, item));
    };
    match name {
        "--bind" => bind(Said { key: "--bind=", value, read_only: false, idmap: None }, to),
        "--bind-ro" => bind(Said { key: "--bind-ro=", value, read_only: true, idmap: None }, to),
        "--tmpfs" => to.push("tmpfs", value),
        "--inaccessible" => to.push("inaccessiblePaths", value),
        "--overlay" => to.push("nspawnConfig.Files.Overlay", value),
        "--overlay-ro" => to.push("nspawnConfig.Files.OverlayReadOnly", value),
        "--capability" => list(to, "capabilities.add"),
        "--drop-capability" => list(to, "capabilities.drop"),
        "--system-call-filter" => to.push("nspawnConfig.Exec.SystemCallFilter", value),
        "--private-users" => users(value, to),
        "--hostname" => to.set("hostname", value),
        "--timezone" => to.set("timezone", value),
        "--resolv-conf" => to.set("resolvConf", value),
        "--ephemeral" => to.set("ephemeral", true),
        "--read-only" => to.set("nspawnConfig.Files.ReadOnly", "yes"),
        "--no-new-privileges" => to.set("nspawnConfig.Exec.NoNewPrivileges", value),
        "--personality" => to.set("nspawnConfig.Exec.Personality", value),
        "--cpu-affinity" => to.set("nspawnConfig.Exec.CPUAffinity", value),
        "--oom-score-adjust" => match value.parse::<i64>() {
            Ok(number) => to.set("oomScoreAdjust", number),
            Err(_) => to.miss(format!("{name}={value} is not a number")),
        },
        "--rlimit" => match value.split_once('=') {
            Some((limit, bound)) => {
                let limit = limit.strip_prefix("RLIMIT_").unwrap_or(limit);
                to.set(&format!("nspawnConfig.Exec.Limit{limit}"), bound);
            }
            None => to.miss(format!("{name}={value} is not LIMIT=VALUE")),
        },
        "--setenv" => match value.split_once('=') {
            // A name with a dot would be a path of options.
            Some((variable, text)) if !variable.contains('.') => {
                to.set(&format!("environment.{variable}"), text)
            }
            _ => to.miss(format!("{name}={value} is not NAME=VALUE")),
        },
        "--property" => match value.split_once('=') {
            Some((key, text)) => limit(key, text, name, to),
            None => to.miss(format!("{name}={value} is not NAME=VALUE")),
        },
        "--port" => to.push("forwardPorts", value),
        "--private-network" => network.own = true,
        "--network-veth" => (network.own, network.pair) = (true, true),
        "--network-bridge" => {
            (network.own, network.pair) = (true, true);
            to.set("bridge", value);
        }
        "--network-zone" => {
            (network.own, network.pair) = (true, true);
            to.set("zone", value);
        }
        "--network-macvlan" => interfaces("macvlan", value, network, to),
        "--network-ipvlan" => interfaces("ipvlan", value, network, to),
        "--network-interface" => interfaces("interfaces", value, network, to),
        "--network-veth-extra" => interfaces("extraVeths", value, network, to),
        "--network-namespace-path" => {
            network.namespace = true;
            to.set("namespacePath", value);
        }
        // These are ours for every container.
        "--quiet" | "--link-journal" | "--notify-ready" | "--kill-signal" => {}
        _ if value.is_empty() => to.miss(name),
        _ => to.miss(format!("{name}={value}")),
    }
}

fn interfaces(option: &str, value: &str, network: &mut NetworkSaid, to: &mut Translation) {
    network.own = true;
    to.push(option, value);
}

/// Translates `--private-users=`.
pub(super) fn users(value: &str, to: &mut Translation) {
    match value {
        "pick" => to.set("userNamespacing", true),
        "no" | "0" | "false" | "off" => to.set("userNamespacing", false),
        other => to.set("nspawnConfig.Exec.PrivateUsers", other),
    }
}
