//! No change of an option goes unnoticed: for any two values the reach differs, or the option, or the part of the value
//! that differs, is on a list here with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

mod arbitrary;

use std::collections::BTreeSet;

use nixos_nspawn_units::intent::{Container, parse};
use nixos_nspawn_units::reach::changes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Options that do not touch the host, with the reason.
const NO_REACH: [(&str, &str); 7] = [
    ("after", "tells the order of starts and gives access to nothing"),
    ("containerNetworkConfig", "is a part of the system inside"),
    ("declarative", "is informative"),
    ("environment", "is that of the first process inside"),
    ("hostname", "is the name inside"),
    ("sharedNix", "accepts only true"),
    ("timeoutStartSec", "is how long a start may take"),
];

/// Returns the option's value without what does not touch the host; the comments are the reasons.
fn that_counts(option: &str, container: &Value) -> Value {
    let own = container.get(option).cloned().unwrap_or_default();
    let texts = |list: &Value| -> BTreeSet<String> {
        list.as_array().into_iter().flatten().map(|item| item.to_string()).collect()
    };
    match option {
        // Strategy and start with the host only decide when.
        "activation" => own.get("reloadScript").cloned().unwrap_or_default(),
        // Others choose among files of the host that anybody can read.
        "resolvConf" | "timezone" => match own.as_str() {
            Some(word)
                if word.starts_with("bind") && container.get("userNamespacing") != Some(&json!(true)) =>
            {
                own
            }
            _ => Value::Null,
        },
        // Order and repetition of these mean nothing.
        "devices" | "inaccessiblePaths" | "credentials" => json!(texts(&own)),
        "capabilities" => json!([texts(&own["add"]), texts(&own["drop"])]),
        // A unit that is required or wanted is started; it makes no difference by which option and name.
        "requires" | "wants" => {
            let both = ["requires", "wants"].map(|option| container.get(option).cloned().unwrap_or_default());
            json!(
                both.iter()
                    .filter_map(Value::as_array)
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(|name| {
                        match name.contains(".service") || name.contains(".mount") || name.contains(".target")
                        {
                            true => name.to_owned(),
                            false => format!("systemd-nspawn@{name}.service"),
                        }
                    })
                    .collect::<BTreeSet<_>>()
            )
        }
        _ => own,
    }
}

fn container(options: &Map<String, Value>) -> Option<Container> {
    let intent = json!({"version": 1, "toplevel": arbitrary::TOPLEVEL, "container": options});
    parse(intent.to_string().as_bytes(), &"web".parse().ok()?).ok().map(|intent| intent.container)
}

/// Every option of the schema, with the default of each.
fn all_options() -> Vec<String> {
    let schema = include_str!("../../docs/nixos-nspawn.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let options = schema["$defs"]["Container"]["properties"].as_object().expect("the options");
    options.keys().cloned().collect()
}

#[test]
fn options_without_reach_exist() {
    let all = all_options();
    assert!(all.len() > 40, "{all:?}");
    for (option, reason) in NO_REACH {
        assert!(all.iter().any(|one| one == option) && !reason.is_empty(), "{option}");
    }
}

/// Returns whether both values of the option mean the same on the host, for another reason than equality.
fn same_on_the_host(option: &str, old: &Value, new: &Value) -> bool {
    that_counts(option, old) == that_counts(option, new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Takes one option of another intent.
    #[test]
    fn a_changed_option_is_seen(first in arbitrary::intent(), second in arbitrary::intent(), free in any::<bool>()) {
        let options = |intent: &Value| intent["container"].as_object().cloned().unwrap_or_default();
        let (mut first, second) = (options(&first), options(&second));
        // Free-form settings win over options, which would then change nothing.
        if !free {
            for option in ["nspawnConfig", "serviceConfig"] {
                first.remove(option);
            }
        }
        let Some(old) = container(&first) else { return Ok(()) };
        for option in all_options() {
            if free != ["nspawnConfig", "serviceConfig", "unitConfig"].contains(&option.as_str()) {
                continue;
            }
            let mut changed = first.clone();
            changed.insert(option.clone(), second.get(&option).cloned().unwrap_or_default());
            let Some(new) = container(&changed) else { continue };
            let written = [&old, &new].map(|one| serde_json::to_value(one).expect("JSON"));
            let seen = changes(&old, &new);
            if written[0].get(&option) == written[1].get(&option) {
                prop_assert!(seen.is_empty(), "{option} is as it was: {seen:?}");
                continue;
            }
            if NO_REACH.iter().any(|(name, _)| *name == option) {
                prop_assert!(seen.is_empty(), "{option} has no reach: {seen:?}");
                continue;
            }
            if same_on_the_host(&option, &written[0], &written[1]) || differs_inside_only(&option, &old, &new) {
                continue;
            }
            prop_assert!(
                !seen.is_empty(),
                "unseen: {option} from {:?} to {:?}", written[0].get(&option), written[1].get(&option)
            );
            // The way back is seen as well.
            prop_assert!(!changes(&new, &old).is_empty(), "{option} back");
            prop_assert!(seen.adds() || changes(&new, &old).adds(), "{option}: {seen:?}");
        }
    }

    /// Nothing changes from an intent to itself, and the token depends on what is added alone.
    #[test]
    fn nothing_changes_without_a_change(intent in arbitrary::intent()) {
        if let Some(one) = intent["container"].as_object().and_then(container) {
            prop_assert!(changes(&one, &one).is_empty());
            prop_assert_eq!(changes(&one, &one).token(&[0; 16]), None);
        }
    }
}

/// Returns whether only things inside the container differ: the destination of a bind mount, sources in the container
/// itself, names of interfaces and ports inside, options of a temporary file system other than its size, and defaults
/// that are written out.
fn differs_inside_only(option: &str, old: &Container, new: &Container) -> bool {
    match option {
        "bindMounts" => {
            let sources = |container: &Container| -> BTreeSet<String> {
                let binds = container.bind_mounts.iter().filter(|bind| !bind.is_host_database());
                let host = binds
                    .filter(|bind| matches!(bind.source, nixos_nspawn_units::intent::BindSource::Host(_)));
                host.map(|bind| {
                    let mut options: Vec<&str> =
                        bind.options_in_force(container.in_user_namespace()).collect();
                    options.retain(|option| {
                        // Both are what nspawn does anyway.
                        *option != "rbind" && *option != "noidmap"
                    });
                    format!("{:?} {} {options:?}", bind.source, bind.read_only)
                })
                .collect()
            };
            sources(old) == sources(new)
        }
        "forwardPorts" => {
            let ports = |container: &Container| -> BTreeSet<String> {
                let ports = container.forward_ports.iter();
                ports.map(|port| format!("{} {}", port.host_side(), port.start_on_connect)).collect()
            };
            ports(old) == ports(new)
        }
        "macvlan" | "ipvlan" | "interfaces" | "extraVeths" => {
            let names = |container: &Container| -> BTreeSet<String> {
                let all =
                    [&container.macvlan, &container.ipvlan, &container.interfaces, &container.extra_veths];
                all.iter().flat_map(|list| list.iter().map(|pair| pair.outside.to_string())).collect()
            };
            names(old) == names(new)
        }
        // The same size with other options, and equal values written differently, are not more.
        "tmpfs" | "memoryMax" | "memoryHigh" | "cpuQuota" | "cpuWeight" | "ioWeight" | "tasksMax"
        | "oomScoreAdjust" | "rlimits" => equal_amounts(option, old, new),
        "hostNetworkConfig" => {
            let settings = |container: &Container| {
                container.host_network_config.as_ref().map(|config| config.settings()).unwrap_or_default()
            };
            settings(old) == settings(new)
        }
        "nspawnConfig" | "serviceConfig" | "unitConfig" => {
            settings_that_count(option, old) == settings_that_count(option, new)
        }
        _ => false,
    }
}

/// Values that only look different: `1024K` and `1M`, `100` for the default weight.
fn equal_amounts(option: &str, old: &Container, new: &Container) -> bool {
    let value = |container: &Container| serde_json::to_value(container).expect("JSON").get(option).cloned();
    match (option, value(old), value(new)) {
        ("cpuWeight" | "ioWeight", one, other) => {
            let weight = |value: Option<Value>| value.unwrap_or(json!(100)).to_string().replace('"', "");
            weight(one) == weight(other)
        }
        ("memoryMax" | "memoryHigh", one, other) => {
            let is_none = |value: &Option<Value>| value.as_ref().is_none_or(|value| value == "infinity");
            is_none(&one) && is_none(&other)
        }
        ("oomScoreAdjust", one, other) => one.unwrap_or(json!(0)) == other.unwrap_or(json!(0)),
        ("tmpfs", Some(one), Some(other)) => {
            let sizes = |list: Value| -> BTreeSet<String> {
                let list = list.as_array().cloned().unwrap_or_default();
                list.iter().map(Value::to_string).collect()
            };
            sizes(one) == sizes(other)
        }
        _ => false,
    }
}

/// Free-form settings without those that nspawn or systemd skip, that are words for people, or that name no file of the
/// host; the last of several values is the one in force for limits.
fn settings_that_count(option: &str, container: &Container) -> Vec<String> {
    let skipped = match option {
        "serviceConfig" => &["Restart", "TimeoutStopSec"][..],
        "unitConfig" => &["After", "Before", "Description", "Documentation"],
        _ => &[],
    };
    let nspawn = &container.nspawn_config;
    let sections = match option {
        "nspawnConfig" => vec![&nspawn.exec, &nspawn.files, &nspawn.network],
        "unitConfig" => vec![&container.unit_config],
        _ => vec![&container.service_config],
    };
    let mut lines = Vec::new();
    for (key, values) in sections.into_iter().flat_map(|section| section.iter()) {
        if key.starts_with("X-") || skipped.contains(&key) || values.is_empty() {
            continue;
        }
        let mut values = values.to_vec();
        match key {
            "Bind" | "BindReadOnly" => {
                let source = |value: &String| value.split(':').next().unwrap_or_default().to_owned();
                values = values.iter().map(source).filter(|source| source.starts_with('/')).collect();
            }
            "Capability" | "DropCapability" | "Inaccessible" | "Port" | "MACVLAN" | "Wants" => {
                values.retain(|value| !value.is_empty());
            }
            "CPUWeight" | "MemoryMax" => values = values.last().cloned().into_iter().collect(),
            _ => {
                lines.push(format!("{key}={values:?}"));
                continue;
            }
        }
        values.sort();
        values.dedup();
        lines.extend(values.iter().map(|value| format!("{key}={value}")));
    }
    lines
}
