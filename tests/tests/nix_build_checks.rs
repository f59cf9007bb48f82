//! Containers are checked while they are built: by mkContainer with the flake's package or another, and by the NixOS module
//! with the generator as well. A real Nix builds with tests/nix/stand-in in place of nixpkgs and the programs of `make build`.

use std::path::Path;

use nixos_nspawn_tests::host::{Host, Output, Suite, bins};
use pretty_assertions::assert_eq;

/// The path of the project on the host.
const PROJECT: &str = "/root/project";

fn install(host: &Host) {
    host.install(bins());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for place in ["nix", "tests/nix", "flake.nix", "default.nix", "Cargo.toml"] {
        for entry in walkdir::WalkDir::new(repository.join(place)) {
            let entry = entry.expect("readable");
            if entry.file_type().is_file() {
                let below = entry.path().strip_prefix(&repository).expect("below").to_str().expect("UTF-8");
                host.copy_in(entry.path(), &format!("{PROJECT}/{below}"), 0o644);
            }
        }
    }
}

/// Builds the profile or the host's check of a container.
fn build(host: &Host, attribute: &str, arguments: &str) -> Output {
    let expression = format!("(import {PROJECT}/tests/nix/build-checks.nix {{ {arguments} }}).{attribute}");
    host.run(&[
        "nix",
        "build",
        "--no-link",
        "--impure",
        "--print-build-logs",
        "--print-out-paths",
        "--expr",
        &expression,
    ])
}

fn built(host: &Host, attribute: &str, arguments: &str) -> Output {
    let output = build(host, attribute, arguments);
    assert!(
        output.success() && output.stdout.starts_with("/nix/store/"),
        "{attribute}, {arguments}: {output}"
    );
    output
}

/// The build must fail with these texts.
fn refused(host: &Host, attribute: &str, arguments: &str, messages: &[&str]) {
    let output = build(host, attribute, arguments);
    assert_eq!((output.code(), output.stdout.as_str()), (1, ""), "{attribute}, {arguments}: {output}");
    for message in messages {
        assert!(output.stderr.contains(message), "{attribute}, {arguments}: no {message:?}: {output}");
    }
}

/// Nix compares places as they are written; the program knows that `\t` is a `t` here.
const TWICE: &str = r#"settings.bindMounts = [ "/srv/a:/data" "/srv/b:/da\\ta" ];"#;
const PLACE: &str = "/data";
/// nspawn would ignore both, and start.
const IGNORED: &str =
    r#"settings.nspawnConfig.Exec = { Capability = [ "CAP_NOPE" ]; Personality = "x86_46"; };"#;
const GOOD: &str = r#"settings.bindMounts = [ "/srv/a:/data" ];"#;
const OURS: &str = r#"arguments.package = "/usr/local";"#;

#[test]
fn builds_fail_where_a_start_would() {
    let host = Host::boot(Suite::Trixie);
    install(&host);

    // The host's check runs both programs.
    built(&host, "host", GOOD);
    let whole = "containers of this host would not work as configured, see above";
    refused(
        &host,
        "host",
        TWICE,
        &["declarative.d/web.json", "'container.bindMounts", PLACE, "container 'web' will not start", whole],
    );
    let findings =
        ["declarative.d/web.json: [Exec] Capability=: 'CAP_NOPE'", "[Exec] Personality=: 'x86_46'", whole];
    refused(&host, "host", IGNORED, &findings);
    // Without verify, what the generator refuses still fails, and what nspawn ignores does not.
    built(&host, "host", &format!("{IGNORED} host.verify = false;"));
    refused(
        &host,
        "host",
        &format!("{TWICE} host.verify = false;"),
        &["container 'web' will not start", whole],
    );

    // The libraries of the flake and of default.nix bring a package.
    let whole = "container 'web': options would be refused or ignored, see above";
    for library in ["flake", "entry"] {
        built(&host, library, GOOD);
        refused(&host, library, TWICE, &["web.json", "'container.bindMounts", PLACE, whole]);
        refused(
            &host,
            library,
            IGNORED,
            &["web.json: [Exec] Capability=: 'CAP_NOPE'", "[Exec] Personality=: 'x86_46'", whole],
        );
        // Null stands for none, and nothing is said about it.
        let output = built(&host, library, &format!("{TWICE} rust = null; arguments.package = null;"));
        assert!(!output.stderr.contains("warning: mkContainer"), "{output}");
        // Packages whose Rust is too old still make containers.
        for (rust, reason) in [
            ("null", "nixpkgs has no Rust"),
            ("\"1.84.1\"", "nixpkgs has Rust 1.84.1, and nixos-nspawn needs 1.85"),
        ] {
            let output = built(&host, library, &format!("{TWICE} rust = {rust};"));
            let warning = format!(
                "evaluation warning: mkContainer: options are not checked while a container is built: {reason}; set the argument \
                 'package' to a package of nixos-nspawn, or to null\n"
            );
            assert_eq!(output.stderr.matches(&warning).count(), 1, "{output}");
        }
        // For a system of which there are no packages at hand, they are taken from nixpkgs: this one has no Rust.
        let foreign = "pkgs = null; system = \"riscv64-linux\";";
        let expression = format!(
            "(import {PROJECT}/tests/nix/build-checks.nix {{ arguments = {{ {foreign} nixpkgs = {PROJECT}/tests/nix/stand-in; }}; }}).{library}.drvPath"
        );
        let output = host.run(&["nix", "eval", "--impure", "--raw", "--expr", &expression]);
        assert!(output.success() && output.stderr.contains("nixpkgs has no Rust"), "{library}: {output}");
    }
    // `create --config` refuses it itself, and says what nspawn would ignore.
    built(&host, "config", TWICE);
    refused(&host, "config", &format!("{TWICE} {OURS}"), &[whole]);

    // The overlay brings one, but others have packages of that name; an argument decides.
    let overlay = "packages.nixos-nspawn = { outPath = \"/usr/local\"; canVerify = true; };";
    refused(&host, "config", &format!("{TWICE} {overlay}"), &[whole]);
    built(&host, "config", &format!("{TWICE} {overlay} arguments.package = null;"));
    built(&host, "config", &format!("{TWICE} packages.nixos-nspawn.outPath = \"/usr/local\";"));
}
