//! Renders the reference of the options, docs/options.md and man/nixos-nspawn-options.5, from the output of
//! nix/options-doc.nix.

mod description;
mod markdown;
mod mdoc;
mod value;

use serde_json::Value;

pub use markdown::markdown;
pub use mdoc::mdoc;

/// An option, or an option of the elements of one.
pub struct Documented {
    /// Its name, with dots between the parts.
    pub name: String,
    /// Its description, in Markdown with paragraphs, code, fenced blocks and two roles of NixOS's manual.
    pub description: String,
    /// The description of its type.
    pub kind: String,
    /// Its default; `None` if the option is required.
    pub default: Option<Value>,
    pub example: Option<Value>,
    /// The name of the option in NixOS's `containers.<name>`.
    pub containers: Option<String>,
    /// The options of its elements, if it is a list of attribute sets.
    pub elements: Vec<Documented>,
}

/// Reads the value of nix/options-doc.nix.
pub fn options(value: &Value) -> Vec<Documented> {
    let text = |option: &Value, field: &str| match option[field].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("{field} is no text in {option}"),
    };
    let read = |option: &Value| Documented {
        name: text(option, "name"),
        description: text(option, "description"),
        kind: text(option, "type"),
        default: option.get("default").cloned(),
        example: option.get("example").cloned(),
        containers: option["containers"].as_str().map(str::to_owned),
        elements: options(&option["elements"]),
    };
    value.as_array().map(|list| list.iter().map(read).collect()).unwrap_or_default()
}

/// The headings, each with its options in order, by the first part of their names.
const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Life cycle",
        &["activation", "hosts", "ephemeral", "timeoutStartSec", "after", "requires", "wants", "declarative"],
    ),
    ("Files", &["bindMounts", "tmpfs", "inaccessiblePaths", "credentials", "mountDaemonSocket"]),
    (
        "Network",
        &[
            "network",
            "zone",
            "bridge",
            "hostNetworkConfig",
            "containerNetworkConfig",
            "forwardPorts",
            "macvlan",
            "ipvlan",
            "interfaces",
            "extraVeths",
            "namespacePath",
            "resolvConf",
        ],
    ),
    (
        "Users, devices and rights",
        &[
            "hardening",
            "userNamespacing",
            "capabilities",
            "systemCallFilter",
            "devices",
            "tun",
            "fuse",
            "kernelLog",
        ],
    ),
    (
        "Limits",
        &[
            "memoryMax",
            "memoryHigh",
            "cpuQuota",
            "cpuWeight",
            "ioWeight",
            "tasksMax",
            "oomScoreAdjust",
            "rlimits",
        ],
    ),
    ("The system inside", &["hostname", "timezone", "environment"]),
    ("Settings that have no option", &["nspawnConfig", "serviceConfig", "unitConfig"]),
];

/// Returns the options below each heading. Panics if one has no heading.
fn grouped(options: &[Documented]) -> Vec<(&'static str, Vec<&Documented>)> {
    let first = |option: &Documented| option.name.split('.').next().unwrap_or_default().to_owned();
    for option in options {
        let known = GROUPS.iter().any(|(_, names)| names.contains(&first(option).as_str()));
        assert!(known, "{}: no heading in tests/src/options_doc/mod.rs", option.name);
    }
    let below = |names: &[&str]| {
        names.iter().flat_map(|name| options.iter().filter(|option| first(option) == *name)).collect()
    };
    GROUPS.iter().map(|(title, names)| (*title, below(names))).collect()
}
