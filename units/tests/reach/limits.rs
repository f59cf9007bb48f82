//! Limits: which value allows more.

use serde_json::{Value, json};

use super::{same, widens, widens_only};

#[test]
fn limits() {
    for (option, less, more) in [
        ("memoryMax", json!("1G"), json!("2G")),
        ("memoryMax", json!("1G"), Value::Null),
        ("memoryMax", json!("10%"), json!("20%")),
        ("memoryMax", json!(1000), json!("1K")),
        ("memoryMax", json!("1G"), json!("infinity")),
        ("memoryHigh", json!("1G"), Value::Null),
        ("cpuQuota", json!("50%"), json!("150%")),
        ("cpuQuota", json!("50%"), Value::Null),
        ("cpuWeight", json!("idle"), json!(1)),
        ("cpuWeight", json!(50), Value::Null),
        ("cpuWeight", Value::Null, json!(101)),
        ("ioWeight", Value::Null, json!(101)),
        ("tasksMax", Value::Null, json!(16385)),
        ("tasksMax", json!(100), json!("infinity")),
        ("oomScoreAdjust", Value::Null, json!(-1)),
        ("oomScoreAdjust", json!(500), json!(-500)),
        ("rlimits", json!({"NOFILE": "1:2"}), json!({"NOFILE": "1:3"})),
        ("rlimits", json!({"NICE": "+5"}), json!({"NICE": "-5"})),
        ("rlimits", json!({"CORE": 0}), json!({"CORE": "infinity"})),
        ("tmpfs", json!([]), json!(["/x:size=1m"])),
        ("tmpfs", json!(["/x:size=1m"]), json!(["/x:size=2M,mode=0700"])),
    ] {
        widens_only(json!({option: less}), json!({option: more}), "may take more of the host: ");
    }
    // Which one is more is not known: each way counts.
    for (option, one, other) in [
        ("memoryMax", json!("10%"), json!("1G")),
        ("rlimits", json!({}), json!({"NOFILE": 1024})),
        ("tmpfs", json!(["/x:size=1m"]), json!(["/x"])),
    ] {
        widens(json!({option: one}), json!({option: other}), "may take more of the host: ");
        widens(json!({option: other}), json!({option: one}), "may take more of the host: ");
    }
    // The free-form value wins.
    widens_only(
        json!({"memoryMax": "1G"}),
        json!({"memoryMax": "1G", "serviceConfig": {"MemoryMax": "infinity"}}),
        "MemoryMax=infinity (serviceConfig), was MemoryMax=1G (memoryMax)",
    );
    same(json!({"memoryMax": "1024K"}), json!({"memoryMax": "1M"}));
    same(json!({"memoryMax": "infinity"}), json!({}));
    same(json!({"cpuWeight": 100, "tasksMax": 16384}), json!({}));
}
