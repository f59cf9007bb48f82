//! Updates and rollbacks on a real systemd: what they change, what they leave alone, and how they go back when the new
//! generation is no good.

mod failing;
mod kinds;
mod rollback;
mod several;
mod sources;

use nixos_nspawn_tests::host::{Host, Output, dynamic};
use serde_json::{Value, json};

const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";

/// Makes the test flake's container `web` this one.
fn web(host: &Host, settings: &Value) {
    host.own(&json!({ "web": settings }));
}

/// The test flake's container with one more setting of its own.
fn with(page: &str, key: &str, value: Value) -> Value {
    let mut settings = dynamic(page);
    settings[key] = value;
    settings
}

/// The test flake's container with one more option.
fn with_option(page: &str, option: &str, value: Value) -> Value {
    let mut settings = dynamic(page);
    settings["container"][option] = value;
    settings
}

/// Runs a command that must end with `code` and change nothing: neither what is recorded nor the process.
fn unchanged(host: &Host, code: i32, arguments: &[&str]) -> Output {
    let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
    let output = host.ctl(arguments);
    assert_eq!(output.code(), code, "{output}");
    assert_eq!(host.recorded("web"), before, "{output}");
    assert_eq!(host.nspawn("web"), nspawn, "restarted: {output}");
    output
}

/// Runs an update that must fail, in time, and take everything back.
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
