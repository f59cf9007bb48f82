//! The programs that are measured and those that measure, built in the same way.

use std::path::{Path, PathBuf};
use std::process::Command;

use nixos_nspawn_tests::host::bins;

/// The programs.
pub(crate) struct Tools {
    pub(crate) floor: PathBuf,
    pub(crate) measure: PathBuf,
    pub(crate) alternate: PathBuf,
    pub(crate) quadlet: Option<Vec<String>>,
}

impl Tools {
    /// Builds the helpers in the same way as the generator: release profile, static.
    pub(crate) fn build() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // …/TRIPLE/release/nixos-nspawn-generator
        let dir = bins().generator.parent().expect("a folder").to_owned();
        let triple = dir.parent().and_then(Path::file_name).expect("a triple").to_string_lossy();
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&workspace).args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            &triple,
        ]);
        cargo.args(["-p", "nixos-nspawn-tests", "--bin", "floor", "--bin", "measure", "--bin", "alternate"]);
        let status = cargo.env(flags, "-C target-feature=+crt-static").status().expect("cargo");
        assert!(status.success(), "the helpers do not build");
        let [floor, measure, alternate] = ["floor", "measure", "alternate"].map(|name| dir.join(name));
        Self { floor, measure, alternate, quadlet: quadlet() }
    }
}

/// Returns the command of podman's generator.
fn quadlet() -> Option<Vec<String>> {
    if let Ok(command) = std::env::var("QUADLET") {
        return Some(command.split_whitespace().map(str::to_owned).collect());
    }
    let places =
        ["/usr/libexec/podman/quadlet", "/usr/lib/systemd/system-generators/podman-system-generator"];
    places.iter().find(|path| Path::new(path).exists()).map(|path| vec![(*path).to_owned()])
}
