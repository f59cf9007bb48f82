//! Asks machined about running containers.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;

/// The time limit for machined, which may have to ask the containers.
const LIMIT: Duration = Duration::from_secs(5);

/// Returns the addresses of all running machines, as machined gets them from the kernel.
pub(crate) fn all_addresses(host: &Host) -> Result<BTreeMap<MachineName, Vec<String>>> {
    let answer = host
        .program("machinectl")
        .args(["list", "--no-pager", "--max-addresses=all", "--output=json"])
        .limit(LIMIT)
        .output()?;
    parse_addresses(&answer)
}

/// Parses a JSON array of machines; `addresses` is null or one text with line breaks.
fn parse_addresses(answer: &str) -> Result<BTreeMap<MachineName, Vec<String>>> {
    // Without machines, some versions print a sentence or nothing.
    let machines: Vec<serde_json::Value> = match answer.trim() {
        "" | "No machines." => Vec::new(),
        answer => serde_json::from_str(answer).context("machinectl list: unexpected answer")?,
    };
    let addresses = |machine: &serde_json::Value| {
        let name = machine["machine"].as_str()?.parse().ok()?;
        let lines = machine["addresses"].as_str().unwrap_or_default().lines();
        Some((name, lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()))
    };
    Ok(machines.iter().filter_map(addresses).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_machine() {
        let answer = r#"[{"machine":"a","addresses":null},{"machine":"b","addresses":"10.0.0.2\nfe80::1"}]"#;
        let all = parse_addresses(answer).unwrap();
        assert_eq!(all[&"b".parse().unwrap()], ["10.0.0.2", "fe80::1"]);
        assert!(all[&"a".parse().unwrap()].is_empty() && all.len() == 2);
        assert!(parse_addresses("").unwrap().is_empty() && parse_addresses("[]").unwrap().is_empty());
        assert!(parse_addresses("?").is_err());
    }
}
