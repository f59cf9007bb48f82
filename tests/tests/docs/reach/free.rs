//! Changes of the three free-form options, and what they are for the reach into the host.

use serde_json::{Value, json};
use systemd_unit_syntax::settings::SETTINGS;

use super::cases::{Either, Is, More, Same};

/// Adds changes of all settings that systemd-nspawn knows, and of some of a service and a unit.
pub(super) fn add_cases(add: &mut impl FnMut(&'static str, Is, Value)) {
    for known in SETTINGS {
        let set = |value: &str| json!({known.section: {known.key: value}});
        // These say no more than the option of the same meaning, which is where they belong.
        let both = |one: &str, other: &str| json!([[null, set(one)], [set(one), set(other)]]);
        match known.key {
            "Bind" | "BindReadOnly" | "Overlay" | "OverlayReadOnly" => {
                let (one, two) =
                    if known.key.starts_with('B') { ("/a", "/a:/b") } else { ("/a:/b", "/c:/d") };
                add("nspawnConfig", More, json!([[null, set(one)]]));
                add("nspawnConfig", if one == "/a" { Same } else { Either }, json!([[set(one), set(two)]]));
            }
            "Capability" | "AmbientCapability" => add("nspawnConfig", More, json!([[null, set("CAP_BPF")]])),
            "Port" => add("nspawnConfig", More, json!([[null, set("tcp:80:80")]])),
            "Interface" | "MACVLAN" | "IPVLAN" | "VirtualEthernetExtra" => {
                add("nspawnConfig", More, json!([[null, set("eth7")]]));
            }
            "DropCapability" => add("nspawnConfig", More, json!([[set("CAP_KILL"), null]])),
            "Inaccessible" => add("nspawnConfig", More, json!([[set("/x"), null]])),
            "Ephemeral" | "NoNewPrivileges" | "ReadOnly" | "Private" => {
                add("nspawnConfig", More, json!([[set("yes"), null]]));
                add("nspawnConfig", Either, json!([[null, set("no")]]));
            }
            "SystemCallFilter" => add("nspawnConfig", More, json!([[null, set("bpf")], [set("~bpf"), null]])),
            _ => add("nspawnConfig", Either, both("one", "two")),
        }
    }
    add("nspawnConfig", Same, json!([[null, {"Exec": {"X-A": "b"}}]]));
    for key in [
        "ExecStartPre",
        "ExecStopPost",
        "DevicePolicy",
        "DeviceAllow",
        "IPAddressAllow",
        "MemorySwapMax",
        "RestrictAddressFamilies",
        "AmbientCapabilities",
    ] {
        add(
            "serviceConfig",
            Either,
            json!([[null, {key: "x"}], [{key: ["x", "y"]}, {key: ["y", "x"]}], [{key: "x y"}, {key: ["x", "y"]}]]),
        );
    }
    for key in ["IPAddressDeny", "SocketBindDeny"] {
        add("serviceConfig", More, json!([[{key: "any"}, null]]));
    }
    for (key, less, more) in [
        ("CPUQuota", "10%", "20%"),
        ("CPUWeight", "10", "20"),
        ("IOWeight", "10", "20"),
        ("MemoryHigh", "1G", "2G"),
        ("MemoryMax", "1G", "infinity"),
        ("TasksMax", "10", "20"),
    ] {
        add("serviceConfig", More, json!([[{key: less}, {key: more}]]));
    }
    add(
        "serviceConfig",
        Same,
        json!([[null, {"Restart": "no"}], [null, {"TimeoutStopSec": "5s"}], [null, {"X-A": "b"}]]),
    );
    add(
        "unitConfig",
        Either,
        json!([[null, {"Conflicts": "x.service"}], [null, {"StartLimitBurst": 3}], [{"OnFailure": "a"}, {"OnFailure": "b"}]]),
    );
    add("unitConfig", More, json!([[null, {"Wants": "x.service"}]]));
    add(
        "unitConfig",
        Same,
        json!([[null, {"Description": "x"}], [null, {"X-A": "b"}], [null, {"After": "x.service"}]]),
    );
}
