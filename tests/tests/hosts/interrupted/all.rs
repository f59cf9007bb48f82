//! An update of all containers that is killed in the middle: those that are done are done, the rest is untouched.

use nixos_nspawn_tests::host::{Host, bins};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

use super::{assert_half, flake, settle};

on_both_hosts!(killed_in_the_middle_of_all);

const NAMES: [&str; 3] = ["first", "second", "third"];

/// Sets containers of which each waits for the one before it. The second one may take long to switch.
fn own(host: &Host, page: &str, switch: &str) {
    let mut all = flake(NAMES, page, "reload");
    all["second"]["container"]["after"] = json!(["first"]);
    all["third"]["container"]["after"] = json!(["second"]);
    all["second"]["switch"] = json!(switch);
    host.own(&all);
}

/// Begins an update of all containers, and waits until the second one is being switched.
fn begin(host: &Host) {
    host.ok(&["sh", "-euc", "nixos-nspawn update --all > /run/all 2>&1 & echo $! > /run/pid"]);
    let switching = "systemctl --machine=second is-active nixos-nspawn-switch.service";
    host.wait_until("the second one is switched", || host.run(&["sh", "-c", switching]).success());
}

/// Returns the record of a container without the link of a build that was not used, which the next update removes.
fn recorded(host: &Host, name: &str) -> String {
    host.recorded(name).lines().filter(|line| !line.contains("/ahead-")).collect::<Vec<_>>().join("\n")
}

fn killed_in_the_middle_of_all(host: &Host) {
    host.install(bins());
    host.create("stopped");
    own(host, "old\n", "exit 0");
    for name in NAMES {
        host.create(name);
    }
    let (second, third) = (recorded(host, "second"), recorded(host, "third"));
    let nspawn = host.nspawn("third");

    own(host, "new\n", "sleep 60");
    begin(host);
    host.sh("kill -KILL $(cat /run/pid)");
    assert_half(host, "second", "half updated");
    let settled = settle(host);
    NAMES.iter().for_each(|name| host.assert_agreed(name));
    assert_eq!((host.system_page("first").as_str(), host.generation("first")), ("new\n", 2), "{settled}");
    assert_eq!(
        (host.system_page("second"), recorded(host, "second")),
        ("old\n".to_owned(), second),
        "{settled}"
    );
    assert_eq!((recorded(host, "third"), host.nspawn("third")), (third.clone(), nspawn), "{settled}");

    // The next run goes on. The links of builds that were not activated are removed.
    own(host, "new\n", "exit 0");
    host.ctl_ok(&["update", "--all", "--retry"]);
    NAMES.iter().for_each(|name| assert_eq!(host.system_page(name), "new\n"));
    assert_eq!(
        host.sh("find /nix/var/nix/profiles /nix/var/nix/gcroots -name 'ahead-*' -o -lname '*/ahead-*'"),
        ""
    );

    // A power cut: the boot starts the second one with its new generation, which is kept.
    let third = recorded(host, "third");
    own(host, "newer\n", "sleep 60");
    begin(host);
    assert_eq!(host.power_cut(), "running");
    let settled = settle(host);
    NAMES.iter().for_each(|name| host.assert_agreed(name));
    let pages = NAMES.map(|name| host.system_page(name));
    assert_eq!(pages, ["newer\n", "newer\n", "new\n"], "{settled}");
    assert_eq!(recorded(host, "third"), third, "{settled}");
}
