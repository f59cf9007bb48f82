//! Commands that list containers, on a throwaway host with 20 that run.

use nixos_nspawn_tests::host::{FLAKE, Host, Suite, bins, light};
use serde_json::{Map, Value};

use crate::tools::Tools;
use crate::turns::{ALTERNATE, Turns};

/// The number of containers.
const COUNT: usize = 20;

const CTL: &str = "/usr/local/bin/nixos-nspawn";

/// Measures and prints.
pub(crate) fn running(tools: &Tools) {
    let host = Host::boot_on_disk(Suite::Forky);
    host.install(bins());
    host.copy_in(&tools.alternate, ALTERNATE, 0o755);
    let names: Vec<String> = (1..=COUNT).map(|number| format!("c{number}")).collect();
    let own: Map<String, Value> = names.iter().map(|name| (name.clone(), light("one\n"))).collect();
    host.own(&Value::Object(own));
    for name in &names {
        host.ctl_ok(&["create", name, "--flake", FLAKE]);
    }
    let mut turns = Turns::default();
    turns.add("machinectl list", &["/usr/bin/machinectl", "list"]);
    turns.add("list", &[CTL, "list"]);
    turns.add("list --json", &[CTL, "list", "--json"]);
    turns.add("status", &[CTL, "status"]);
    let taken = turns.run(&host, 15);
    let machinectl = taken["machinectl list"].time;
    println!(
        "\n{:<44} {:>9} {:>12} {:>9}",
        format!("{COUNT} running containers"),
        "ms",
        "x machinectl",
        "cpu ms"
    );
    for label in ["machinectl list", "list", "list --json", "status"] {
        let one = taken[label];
        println!("{label:<44} {:>9.1} {:>12.2} {:>9.1}", one.time, one.time / machinectl, one.processor);
    }
    println!("aim: list at most 1.0 x machinectl list");
}
