//! Compares the table of docs/reach.md with the options: for each, it states what counts as reach into the host.

mod cases;
mod complete;
mod free;

use std::collections::BTreeSet;

use nixos_nspawn_units::intent::{Container, parse};
use nixos_nspawn_units::reach::changes;
use serde_json::{Value, json};

use crate::text;

/// The options that have parts of their own in the table.
const WITH_PARTS: [&str; 2] = ["activation", "capabilities"];

/// Returns each option of the table and its kind.
pub(crate) fn table() -> Vec<(String, String)> {
    let text = text("docs/reach.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (option, rest) = row.split_once("` | ").expect("an option");
        let (kind, _) = rest.split_once(" | ").expect("what it counts as");
        (option.to_owned(), kind.to_owned())
    })
    .collect()
}

#[test]
fn table_has_every_option() {
    let schema = nixos_nspawn_units::schema();
    let mut options = BTreeSet::new();
    let properties = schema["$defs"]["Container"]["properties"].as_object().expect("the options");
    for option in properties.keys() {
        if WITH_PARTS.contains(&option.as_str()) {
            let mut name = option.clone();
            name[..1].make_ascii_uppercase();
            let parts = schema["$defs"][&name]["properties"].as_object().expect("its parts");
            options.extend(parts.keys().map(|part| format!("{option}.{part}")));
        } else {
            options.insert(option.clone());
        }
    }
    assert!(options.len() > 45, "{options:?}");
    let rows: Vec<String> = table().into_iter().map(|(option, _)| option).collect();
    let mut sorted = rows.clone();
    sorted.sort();
    assert_eq!(rows, sorted, "the table is sorted, each option once");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), options);
}

/// Sets a part of an object, and its parents.
pub(crate) fn set(option: &str, value: &Value) -> Value {
    option.rsplit('.').fold(value.clone(), |inner, part| json!({ part: inner }))
}

/// Returns a value other than the default for a row, or null if there is none.
pub(crate) fn sample(option: &str) -> Value {
    match option {
        "activation.autoStart" => json!(false),
        "activation.snapshot" => json!(true),
        "activation.check" => json!("true"),
        "activation.expect" => json!("running"),
        "activation.reloadScript" => json!("/x"),
        "activation.buildTimeout" | "activation.settleSec" | "activation.timeout" => json!("10s"),
        "activation.strategy" => json!("restart"),
        "after" | "requires" | "wants" => json!(["db"]),
        "bindMounts" | "inaccessiblePaths" => json!(["/srv/x"]),
        "bridge" | "zone" => json!("x"),
        "capabilities.add" | "capabilities.drop" => json!(["CAP_MKNOD"]),
        "containerNetworkConfig" => json!({"a": 1}),
        "cpuQuota" => json!("10%"),
        "cpuWeight" | "ioWeight" => json!(50),
        "credentials" => json!([{"id": "a"}]),
        "devices" => json!(["/dev/x"]),
        "environment" => json!({"A": "b"}),
        "extraVeths" | "interfaces" | "ipvlan" | "macvlan" => json!(["eth7"]),
        "forwardPorts" => json!(["80"]),
        "hostNetworkConfig" => json!({"address": "10.0.0.1/24", "networkConfig": {"LLDP": "no"}}),
        "hostname" => json!("x"),
        "memoryHigh" | "memoryMax" => json!("1G"),
        "namespacePath" => json!("/run/netns/x"),
        "network" => json!("host"),
        "nspawnConfig" => json!({"Exec": {"Personality": "x86"}}),
        "oomScoreAdjust" => json!(100),
        "resolvConf" => json!("bind-host"),
        "rlimits" => json!({"NOFILE": 1024}),
        "serviceConfig" => json!({"DevicePolicy": "auto"}),
        "sharedNix" => Value::Null,
        "systemCallFilter" => json!("bpf"),
        "timezone" => json!("bind"),
        "tasksMax" => json!(100),
        "timeoutStartSec" => json!("5min"),
        "tmpfs" => json!(["/x:size=1M"]),
        "unitConfig" => json!({"StartLimitBurst": 3}),
        // The rest are switches.
        _ => json!(true),
    }
}

/// Returns the options of a container.
pub(crate) fn container(options: Value) -> Container {
    let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05";
    let intent = json!({"version": 1, "toplevel": toplevel, "container": options});
    let name = "web".parse().expect("a name");
    parse(intent.to_string().as_bytes(), &name).unwrap_or_else(|fault| panic!("{intent}: {fault}")).container
}

/// The program does what the table says.
#[test]
fn table_is_true() {
    for (option, kind) in table() {
        let (without, with) = (container(json!({})), container(set(&option, &sample(&option))));
        let (there, back) = (changes(&without, &with), changes(&with, &without));
        let expected = match kind.as_str() {
            "none" => there.is_empty() && back.is_empty(),
            "gives" | "gives, restricts" => !there.gained.is_empty() && !back.lost.is_empty(),
            "restricts" => there.only_takes_away() && !back.no_longer_restricted.is_empty(),
            "limits" => !there.is_empty() && [&there, &back].iter().any(|one| !one.may_take_more.is_empty()),
            "either" | "gives, either" => !there.gained.is_empty() && !back.no_longer_restricted.is_empty(),
            other => panic!("{option}: '{other}' is explained nowhere"),
        };
        assert!(expected, "{option} counts as '{kind}': {there:?}, {back:?}");
    }
}
