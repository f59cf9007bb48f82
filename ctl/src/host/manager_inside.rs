//! What the service manager inside a container says of its jobs. Everything it says was made by the container.

use std::time::Duration;

use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;

/// How long it may take to answer, which it need not do at all while it starts.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the units whose jobs run; none if it cannot be asked.
pub(crate) fn running_jobs(host: &Host, name: &MachineName) -> Vec<String> {
    let call = host.manager("systemctl").arg(format!("--machine={name}"));
    let call = call.args(["list-jobs", "--full", "--plain", "--no-legend"]).limit(PATIENCE);
    parse_jobs(&call.output_if_any().unwrap_or_default())
}

/// Lines of number, unit, type and state.
fn parse_jobs(answer: &str) -> Vec<String> {
    let running = answer.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (unit, state) = (words.nth(1)?, words.nth(1)?);
        (state == "running").then(|| unit.to_owned())
    });
    running.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_an_answer() {
        let answer = " 12 dawdling.service start running\n  1 multi-user.target start waiting\n";
        assert_eq!(parse_jobs(answer), ["dawdling.service"]);
        assert!(parse_jobs("No jobs running.\n").is_empty());
    }
}
