//! Translates settings of a unit that limit a container.

use serde_json::{Value, json};

use super::Translation;

/// Settings with an option of ours.
const OPTIONS: [(&str, &str); 7] = [
    ("CPUQuota", "cpuQuota"),
    ("CPUWeight", "cpuWeight"),
    ("IOWeight", "ioWeight"),
    ("MemoryHigh", "memoryHigh"),
    ("MemoryMax", "memoryMax"),
    ("TasksMax", "tasksMax"),
    ("TimeoutStartSec", "timeoutStartSec"),
];

/// Settings that stay settings of the unit.
const SETTINGS: [&str; 8] = [
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "DeviceAllow",
    "IOReadBandwidthMax",
    "IOWriteBandwidthMax",
    "MemoryLow",
    "MemorySwapMax",
    "Nice",
];

/// Translates a setting of the unit, or lists it.
pub(crate) fn limit(key: &str, value: &str, place: &str, translation: &mut Translation) {
    if let Some((_, option)) = OPTIONS.iter().find(|(setting, _)| *setting == key) {
        let number = value.parse::<u64>().ok().filter(|_| key.ends_with("Weight") || key == "TasksMax");
        translation.set(option, number.map_or_else(|| Value::from(value), |number| json!(number)));
    } else if SETTINGS.contains(&key) {
        translation.push(&format!("serviceConfig.{key}"), value);
    } else {
        translation.miss(format!("{place}: {key}={value}; set it for the container's new unit"));
    }
}
