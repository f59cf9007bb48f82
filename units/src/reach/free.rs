//! The reach of free-form settings. For a few it is known whether they give or restrict; for all others, each change
//! counts.

use super::item::{Items, Kind, Subject};
use crate::intent::{FreeSettings, NspawnConfig};
use systemd_unit_syntax::settings::parse_boolean;

/// Settings of a .nspawn file that only add, value by value.
const GIVING: [(&str, &str); 10] = [
    ("nspawnConfig.Exec", "AmbientCapability"),
    ("nspawnConfig.Exec", "Capability"),
    ("nspawnConfig.Files", "Overlay"),
    ("nspawnConfig.Files", "OverlayReadOnly"),
    ("nspawnConfig.Network", "IPVLAN"),
    ("nspawnConfig.Network", "Interface"),
    ("nspawnConfig.Network", "MACVLAN"),
    ("nspawnConfig.Network", "Port"),
    ("nspawnConfig.Network", "VirtualEthernetExtra"),
    ("unitConfig", "Wants"),
];

/// Settings that only restrict, value by value.
const TAKING: [(&str, &str); 2] =
    [("nspawnConfig.Exec", "DropCapability"), ("nspawnConfig.Files", "Inaccessible")];

/// Settings that restrict where they are true.
const TAKING_IF_TRUE: [(&str, &str); 4] = [
    ("nspawnConfig.Exec", "Ephemeral"),
    ("nspawnConfig.Exec", "NoNewPrivileges"),
    ("nspawnConfig.Files", "ReadOnly"),
    ("nspawnConfig.Network", "Private"),
];

/// Settings that restrict as a whole.
const TAKING_AS_A_WHOLE: [(&str, &str); 2] =
    [("serviceConfig", "IPAddressDeny"), ("serviceConfig", "SocketBindDeny")];

/// Settings that are counted with the options they belong to: limits, and bind mounts.
const WITH_OPTIONS: [(&str, &str); 2] =
    [("nspawnConfig.Files", "Bind"), ("nspawnConfig.Files", "BindReadOnly")];

/// Settings without effect on the reach: descriptions, the order of starts, times, and restarts of the unit itself.
const NEITHER: [(&str, &str); 10] = [
    ("serviceConfig", "Restart"),
    ("serviceConfig", "RestartSec"),
    ("serviceConfig", "TimeoutAbortSec"),
    ("serviceConfig", "TimeoutSec"),
    ("serviceConfig", "TimeoutStartSec"),
    ("serviceConfig", "TimeoutStopSec"),
    ("unitConfig", "After"),
    ("unitConfig", "Before"),
    ("unitConfig", "Description"),
    ("unitConfig", "Documentation"),
];

/// Adds all free-form settings of these options; `is_limit` identifies those that are compared as limits.
pub(super) fn settings(
    items: &mut Items,
    NspawnConfig { exec, files, network }: &NspawnConfig,
    service: &FreeSettings,
    unit: &FreeSettings,
    is_limit: impl Fn(&str, &str) -> bool,
) {
    for (option, settings) in [
        ("nspawnConfig.Exec", exec),
        ("nspawnConfig.Files", files),
        ("nspawnConfig.Network", network),
        ("serviceConfig", service),
        ("unitConfig", unit),
    ] {
        for (key, values) in settings.iter() {
            // systemd and nspawn skip X- settings.
            if !key.starts_with("X-") && !is_limit(option, key) {
                setting(items, option, key, values);
            }
        }
    }
}

fn setting(items: &mut Items, option: &'static str, key: &str, values: &[String]) {
    let is = |list: &[(&str, &str)]| list.contains(&(option, key));
    if is(&WITH_OPTIONS) || is(&NEITHER) || values.is_empty() {
        return;
    }
    let one = |value: &String| Subject::Value(option, vec![key.to_owned(), value.clone()]);
    let whole = Subject::Value(option, [&[key.to_owned()], values].concat());
    let filter = key == "SystemCallFilter" && option == "nspawnConfig.Exec";
    if filter || is(&GIVING) || is(&TAKING) {
        // An empty one does nothing.
        for value in values.iter().filter(|value| !value.is_empty()) {
            if is(&TAKING) || filter && value.starts_with('~') {
                items.cannot(one(value), format!("go beyond {key}={value} ({option})"));
            } else {
                items.can(one(value), format!("have {key}={value} ({option})"));
            }
        }
    } else if is(&TAKING_AS_A_WHOLE) && values.iter().all(|value| !value.is_empty())
        || is(&TAKING_IF_TRUE) && values.last().is_some_and(|last| parse_boolean(last) == Some(true))
    {
        items.cannot(whole, format!("go beyond {} ({option})", assignment(key, values)));
    } else {
        unknown(items, option, key, values);
    }
}

/// Adds a setting of unknown effect. Order and grouping of its values count.
pub(super) fn unknown(items: &mut Items, option: &'static str, key: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    let subject = Subject::Setting { option, key: key.to_owned(), values: values.to_vec() };
    items.push(Kind::Setting, subject, format!("{} ({option})", assignment(key, values)));
}

/// Returns the assignment for messages; several values, and one that looks like several, as JSON.
fn assignment(key: &str, values: &[String]) -> String {
    match values {
        [one] if !one.starts_with(['[', '"']) => format!("{key}={one}"),
        _ => format!("{key}={}", serde_json::Value::from(values)),
    }
}
