//! Updates and rollbacks on a real systemd: what they change, what they leave unchanged, and how they go back if the new
//! generation fails.

mod failing;
mod kinds;
mod like_nixos;
mod owners;
mod reach;
mod rollback;
mod secrets;
mod several;
mod snapshots;
mod sources;
mod timer;
mod unattended;

use nixos_nspawn_tests::host::{Host, Output, dynamic};
use serde_json::{Value, json};

const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";

/// Sets the test flake's container `web`.
fn web(host: &Host, settings: &Value) {
    host.own(&json!({ "web": settings }));
}

/// Returns the test flake's container with one more of its own settings.
fn with(page: &str, key: &str, value: Value) -> Value {
    let mut settings = dynamic(page);
    settings[key] = value;
    settings
}

/// Returns the test flake's container with one more option.
fn with_option(page: &str, option: &str, value: Value) -> Value {
    let mut settings = dynamic(page);
    settings["container"][option] = value;
    settings
}

/// Runs a command that must exit with `code` and change neither the record nor the process.
fn unchanged(host: &Host, code: i32, arguments: &[&str]) -> Output {
    let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
    let notes = || host.run(&["cat", "/nix/var/nix/profiles/per-nspawn/web/updates.json"]).stdout;
    let noted = notes();
    let output = host.ctl(arguments);
    assert_eq!(output.code(), code, "{output}");
    assert_eq!(host.recorded("web"), before, "{output}");
    // Only an update that was tried is noted.
    if arguments[0] != "update" || arguments.contains(&"--dry-run") || code == 2 {
        assert_eq!(notes(), noted, "{output}");
    }
    assert_eq!(host.nspawn("web"), nspawn, "restarted: {output}");
    output
}

/// Runs an update that must fail in time and restore everything.
fn rolled_back(host: &Host, options: &[&str]) -> Output {
    let before = host.recorded("web");
    let output = host.ctl(&[&["update", "web"], options].concat());
    assert_eq!(output.code(), 1, "{output}");
    assert!(output.stderr.contains("rolled back"), "{output}");
    assert_eq!(host.recorded("web"), before, "{output}");
    assert_eq!(host.state("web"), "active", "{output}");
    host.assert_agreed("web");
    output
}
