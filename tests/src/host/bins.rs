//! The programs under test: statically linked release binaries, built by `make build` unless they are up to date.

use super::command::{Timeout, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// Paths of the programs.
pub struct Bins {
    /// `nixos-nspawn-generator`.
    pub generator: PathBuf,
    /// `nixos-nspawn-ctl`.
    pub ctl: PathBuf,
}

/// Builds the release binaries with `make build` and returns their paths.
pub fn bins() -> &'static Bins {
    static BINS: OnceLock<Bins> = OnceLock::new();
    BINS.get_or_init(build)
}

fn build() -> Bins {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut make = Command::new("make");
    make.current_dir(&workspace).args(["--silent", "--no-print-directory", "build"]);
    let output = run(&mut make, None, Timeout::after(Duration::from_secs(1200)));
    assert!(output.success(), "the programs under test do not build: {output}");

    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let dir = target.join(host_triple()).join("release");
    Bins { generator: dir.join("nixos-nspawn-generator"), ctl: dir.join("nixos-nspawn-ctl") }
}

fn host_triple() -> String {
    let mut rustc = Command::new("rustc");
    let output = run(rustc.arg("-vV"), None, Timeout::after(Duration::from_secs(60)));
    let triple = output.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    triple.unwrap_or_else(|| panic!("rustc does not name its host: {output}")).to_owned()
}
