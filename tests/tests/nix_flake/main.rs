//! flake.nix, evaluated by a real Nix with a stand-in for nixpkgs: its outputs have the documented names, and refer to
//! files that exist. Building them takes nixpkgs itself, which no test here has.

mod package;

use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_tests::host::{Host, Suite};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// The path of the project on the host.
const PROJECT: &str = "/root/project";
const STAND_IN: &str = "/root/nixpkgs";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Copies the files that Git tracks, as a flake would see them.
fn install(host: &Host) {
    let mut copied = 0;
    for place in [
        "default.nix",
        "flake.nix",
        "flake.lock",
        "Cargo.toml",
        "Cargo.lock",
        "Makefile",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "nix",
    ] {
        for entry in walkdir::WalkDir::new(repository().join(place)) {
            let entry = entry.expect("readable");
            if entry.file_type().is_file() {
                let below = entry.path().strip_prefix(repository()).expect("below").to_str().expect("UTF-8");
                host.copy_in(entry.path(), &format!("{PROJECT}/{below}"), 0o644);
                copied += 1;
            }
        }
    }
    assert!(copied > 10, "copied only {copied} files");
    // The directories that the package's source names; their contents do not matter here.
    host.sh(&format!("cd {PROJECT}; for d in units generator ctl tests man docs examples systemd; do mkdir -p $d; : > $d/file; done"));
    host.copy_in(
        &repository().join("tests/nix/flake-input/flake.nix"),
        &format!("{STAND_IN}/flake.nix"),
        0o644,
    );
}

/// Evaluates `apply` on the flake's outputs.
fn evaluated(host: &Host, apply: &str) -> Value {
    let expression = format!(
        "let outputs = (builtins.getFlake \"path:{PROJECT}\").outputs; named = builtins.mapAttrs (_: builtins.attrNames); in {apply}"
    );
    let output = host.ok(&["nix", "eval", "--impure", "--json", "--expr", &expression]);
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// Returns the names of the files in a directory of the repository, without extension.
fn stems(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(repository().join(folder)).expect("readable");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .map(|name| name.strip_suffix(".nix").expect("a Nix file").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn outputs_of_the_flake() {
    let host = Host::boot(Suite::Trixie);
    install(&host);
    // The lock names the real nixpkgs; this one stands in for it.
    host.ok(&[
        "nix",
        "flake",
        "lock",
        "--override-input",
        "nixpkgs",
        &format!("path:{STAND_IN}"),
        &format!("path:{PROJECT}"),
    ]);

    let names = evaluated(&host, "builtins.attrNames outputs");
    assert_eq!(
        names,
        json!([
            "apps",
            "checks",
            "devShells",
            "formatter",
            "lib",
            "nixosContainers",
            "nixosModules",
            "overlays",
            "packages",
            "templates"
        ])
    );
    let tests = stems("nix/tests");
    assert!((1..=3).contains(&tests.len()), "{tests:?}");
    // The checks include no virtual machine tests, so `nix flake check` needs no KVM.
    let checks = ["every-option", "host", "options", "package", "reference"];
    for (output, names) in [
        ("packages", json!(["default", "nixos-nspawn", "static"])),
        ("apps", json!(["default", "nixos-nspawn"])),
        ("checks", json!(checks)),
        ("nixosContainers", json!(["example"])),
        ("devShells", json!(["default"])),
    ] {
        let expected = json!({ "aarch64-linux": names, "x86_64-linux": names });
        assert_eq!(evaluated(&host, &format!("named outputs.{output}")), expected, "{output}");
    }
    for (output, names) in [
        ("lib", json!(["fromContainers", "mkContainer"])),
        ("nixosModules", json!(["default", "hypervisor"])),
        ("overlays", json!(["default"])),
        ("templates", json!(["config", "default"])),
    ] {
        assert_eq!(evaluated(&host, &format!("builtins.attrNames outputs.{output}")), names, "{output}");
    }

    assert_eq!(evaluated(&host, "builtins.isFunction outputs.lib.mkContainer"), json!(true));
    assert_eq!(
        evaluated(
            &host,
            "map builtins.isFunction [ outputs.overlays.default (import outputs.nixosModules.default) ]"
        ),
        json!([true, true])
    );
    let machines = "map (check: builtins.isFunction check.arguments.test) (builtins.attrValues outputs.packages.x86_64-linux.default.tests)";
    assert_eq!(evaluated(&host, machines), json!(vec![true; tests.len()]));
    assert_eq!(
        evaluated(&host, "builtins.attrNames (outputs.overlays.default { } { })"),
        json!(["nixos-nspawn", "nixos-nspawn-static"])
    );
    assert_eq!(
        evaluated(
            &host,
            &format!(
                "let entry = import {PROJECT}/default.nix {{ pkgs = {{ }}; }}; in builtins.attrNames entry"
            )
        ),
        json!(["lib", "nixos-nspawn", "nixos-nspawn-static", "nixosModules"])
    );
    let templates = "builtins.mapAttrs (_: template: builtins.attrNames (builtins.readDir template.path)) outputs.templates";
    for (name, files) in evaluated(&host, templates).as_object().expect("an object") {
        let wanted = if name == "default" { "flake.nix" } else { "configuration.nix" };
        assert!(files.as_array().expect("a list").contains(&json!(wanted)), "template {name}: {files}");
    }

    // Whoever uses the flake does not run the tests, its checks do.
    let tests = "map (package: package.arguments.doCheck) [ outputs.packages.x86_64-linux.default outputs.checks.x86_64-linux.package ]";
    assert_eq!(evaluated(&host, tests), json!([false, true]));

    // The package names itself; what is copied elsewhere does not name the store.
    let environment = |package: &str, name: &str| {
        let value =
            evaluated(&host, &format!("outputs.packages.x86_64-linux.{package}.arguments.env.{name}"));
        value.as_str().expect("a text").to_owned()
    };
    let version = evaluated(&host, "outputs.packages.x86_64-linux.default.arguments.version");
    assert_eq!(version, json!(env!("CARGO_PKG_VERSION")));
    let out = evaluated(&host, "builtins.placeholder \"out\"");
    let out = out.as_str().expect("a text");
    assert_eq!(
        environment("default", "NIXOS_NSPAWN_HELPER"),
        format!("{out}/libexec/nixos-nspawn/unit-helper")
    );
    assert_eq!(environment("static", "NIXOS_NSPAWN_HELPER"), "/usr/local/libexec/nixos-nspawn/unit-helper");
    assert_eq!(environment("static", "NIXOS_NSPAWN_NIX"), "/usr/local/share/nixos-nspawn/nix");
    let sources = evaluated(&host, "outputs.packages.x86_64-linux.default.arguments.src");
    assert!(sources.as_array().expect("a list").len() > 5, "{sources}");
    let program = evaluated(
        &host,
        "outputs.apps.x86_64-linux.default.program == \"${outputs.packages.x86_64-linux.static}/bin/nixos-nspawn\"",
    );
    assert_eq!(program, json!(true));
    package::builds(&host);
}
