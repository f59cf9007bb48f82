//! A refused container never starts, whatever its file contains: without the drop-in, systemd would start its own
//! template.

use nixos_nspawn_tests::host::{Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(refusals_are_loaded);

const TOPLEVEL: &str = "/nix/store/00000000000000000000000000000000-nixos-system-gone";

fn refusals_are_loaded(host: &Host) {
    host.install(bins());
    let long = "1".repeat(1_000_000);
    let many: Vec<String> = (0..40_000).map(|at| format!(r#"{{"id":"c{at:05}"}}"#)).collect();
    for (name, container) in [
        ("kind", format!(r#"{{"ephemeral":"{long}"}}"#)),
        ("limit", format!(r#"{{"rlimits":{{"NOFILE":"{long}:1"}}}}"#)),
        ("field", format!(r#"{{"{long}":1}}"#)),
        // Its ExecStart= would name all of them, in a line that is too long for systemd.
        ("line", format!(r#"{{"credentials":[{}]}}"#, many.join(","))),
    ] {
        let text = format!(r#"{{"version":1,"toplevel":"{TOPLEVEL}","container":{container}}}"#);
        host.write(&format!("/etc/nixos-nspawn/{name}.json"), text, 0o644);
    }
    // Where the stock template would find a system to start.
    for name in ["kind", "limit", "field", "line"] {
        host.sh(&format!("mkdir -p /var/lib/machines/{name}/usr"));
    }
    host.ok(&["systemctl", "daemon-reload"]);
    for name in ["kind", "limit", "field", "line"] {
        assert!(!host.run(&["systemctl", "start", &unit(name)]).success(), "{name} was to be refused");
        assert_eq!(host.state(name), "failed", "{name}");
        let said = host.unit_journal(name);
        assert!(said.contains("status=78/CONFIG"), "{name}: {said}");
        assert!(said.contains(&format!("/etc/nixos-nspawn/{name}.json")), "{name}: {said}");
    }
}
