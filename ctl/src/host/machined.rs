//! Asks machined about running containers.

use std::time::Duration;

use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;

/// The time limit for machined, which may have to ask the containers.
const LIMIT: Duration = Duration::from_secs(5);

/// Returns the addresses of a running container, as machined gets them from the kernel; empty if they are not
/// available.
pub(crate) fn addresses(host: &Host, name: &MachineName) -> Vec<String> {
    let answer = host
        .program("machinectl")
        .args(["list", "--no-pager", "--max-addresses=all", "--output=json"])
        .limit(LIMIT)
        .output_if_any()
        .unwrap_or_default();
    parse_addresses(&answer, name)
}

/// Parses a JSON array of machines; `addresses` is null or one text with line breaks.
fn parse_addresses(answer: &str, name: &MachineName) -> Vec<String> {
    let machines: Vec<serde_json::Value> = serde_json::from_str(answer).unwrap_or_default();
    let machine = machines.iter().find(|machine| machine["machine"] == name.as_str());
    let addresses = machine.and_then(|machine| machine["addresses"].as_str()).unwrap_or_default();
    addresses.lines().map(str::to_owned).filter(|address| !address.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_machine() {
        let answer = r#"[{"machine":"a","addresses":null},{"machine":"b","addresses":"10.0.0.2\nfe80::1"}]"#;
        let addresses = |name: &str| parse_addresses(answer, &name.parse().unwrap());
        assert_eq!(addresses("b"), ["10.0.0.2", "fe80::1"]);
        assert!(addresses("a").is_empty() && addresses("c").is_empty());
        assert!(parse_addresses("", &"a".parse().unwrap()).is_empty());
    }
}
