//! Commands that are killed between two of their steps: each row of docs/decisions/interrupted.md.
//!
//! The program is built with the feature `failpoints` and kills itself at NIXOS_NSPAWN_FAIL_AT. The next command, with or
//! without a power cut in between, must produce what the table promises: the old state or the new one, complete. A power
//! cut is made once for all containers of a test.

mod all;
mod archive;
mod by_hand;
mod clone;
mod create_remove;
mod import;
mod reach;
mod rename;
mod rollback;
mod signals;
mod snapshots;
mod update;

use nixos_nspawn_tests::host::{Bins, Host, Output, bins, dynamic};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The places at which an update or a rollback can be killed after its build.
const PLACES: [&str; 7] = ["recording", "profile", "intent", "reload", "activating", "activated", "passed"];

/// Builds the programs, with failpoints in ctl: with the features and the profile of the tests, so that hardly anything is
/// compiled for it.
fn stoppable() -> &'static Bins {
    static BINS: OnceLock<Bins> = OnceLock::new();
    BINS.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cargo = Command::new(env!("CARGO"))
            .current_dir(&workspace)
            .args(["build", "--quiet", "--locked", "--workspace", "--all-features"])
            .args(["--bin", "nixos-nspawn-ctl"])
            .output()
            .expect("cargo");
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
        Bins { generator: bins().generator.clone(), ctl: target.join("debug/nixos-nspawn-ctl") }
    })
}

/// Runs a command that must be killed at `place`.
fn killed(host: &Host, place: &str, arguments: &[&str]) {
    let variable = format!("NIXOS_NSPAWN_FAIL_AT={place}");
    let output = host.run(&[&["env", &variable, "nixos-nspawn"], arguments].concat());
    assert_eq!(output.code(), 128 + 9, "was to be killed at {place}: {output}");
}

/// Returns containers of the test flake with these names, and with this page and strategy.
fn flake<'a>(names: impl IntoIterator<Item = &'a str>, page: &str, strategy: &str) -> Value {
    let own = names.into_iter().map(|name| {
        let mut settings = dynamic(page);
        settings["container"]["activation"]["strategy"] = json!(strategy);
        (name.to_owned(), settings)
    });
    Value::Object(own.collect::<Map<_, _>>())
}

/// Holds the lock of a container until the host goes down, so that no command settles what was left of it.
fn hold(host: &Host, name: &str) {
    let lock = format!("/run/nixos-nspawn/{name}.lock");
    let held = "until ! flock --nonblock $0 true; do sleep 0.1; done";
    host.ok(&["systemd-run", "--quiet", "--collect", "flock", &lock, "sleep", "infinity"]);
    host.ok(&["sh", "-c", held, &lock]);
}

/// Changes another container, which settles all killed commands.
fn settle(host: &Host) -> Output {
    host.ctl_ok(&["enable", "stopped"])
}

/// Waits until `list` says what is left of a killed command: the process may take a moment to end.
fn assert_half(host: &Host, name: &str, word: &str) {
    host.wait_until(&format!("list says that {name} is {word}"), || {
        let listed = host.ctl_ok(&["list"]).stdout;
        listed.lines().any(|line| line.starts_with(&format!("{name} ")) && line.contains(word))
    });
}
