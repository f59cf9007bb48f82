//! Runs README's session, whose output must be the one in README, and every line of its console examples in "The first
//! container", "Updates" and "Day to day", unchanged and in order, on a throwaway Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixos_nspawn_tests::golden::blessing;
use nixos_nspawn_tests::host::{Host, Suite, bins};
use nixos_nspawn_tests::session;

/// Replaces what this host lacks: sudo, a network for apt-get, and PAM in the container, which `machinectl shell` needs.
const PRELUDE: &str = r#"
sudo() { "$@"; }
apt-get() { shift; dpkg-query --show "$@"; }
curl() { command curl --silent --fail --retry 30 --retry-delay 1 --retry-all-errors "$@"; }
machinectl() {
  if [ "$1" = shell ]; then shift; command machinectl status "$@" > /dev/null; else command machinectl "$@"; fi
}
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the commands in the console blocks of a section.
fn commands(readme: &str, section: &str) -> String {
    let text = readme.split("\n## ").find_map(|part| part.strip_prefix(section)?.strip_prefix('\n'));
    let blocks = text.unwrap_or_else(|| panic!("README has no section '{section}'")).split("```").skip(1);
    let console = blocks.step_by(2).filter_map(|block| block.strip_prefix("console\n"));
    let lines: Vec<&str> =
        console.flat_map(str::lines).map(|line| line.strip_prefix("$ ").expect("a prompt")).collect();
    assert!(!lines.is_empty(), "no commands in '{section}'");
    lines.join("\n")
}

/// Runs the session, and compares what it prints with README.
fn session_on(host: &Host) {
    let mut seen = String::new();
    for command in session::commands() {
        let script = format!("set -eu\ncd /root/checkout/examples/debian\n{PRELUDE}{command}\n");
        let output = host.run_with(&["bash", "-c", &script], None, Duration::from_secs(120));
        assert!(output.success(), "{command}: {output}{}", host.journal(40));
        seen += &format!("$ {command}\n{}", output.stdout);
    }
    if blessing() {
        session::write(&seen);
    }
    assert_eq!(session::session(), seen, "NIXOS_NSPAWN_BLESS=1 writes it");
}

#[test]
fn readme_on_a_host() {
    let host = Host::boot(Suite::Trixie);
    host.copy_in(&bins().ctl, "/usr/local/bin/nixos-nspawn", 0o755);
    host.copy_in(&bins().generator, "/usr/local/bin/nixos-nspawn-generator", 0o755);
    let copy = || {
        for file in ["flake.nix", "container.nix"] {
            let from = repository().join("examples/debian").join(file);
            host.copy_in(&from, &format!("/root/checkout/examples/debian/{file}"), 0o644);
        }
    };
    copy();
    host.ok(&["nixos-nspawn", "setup", "--networkd"]);
    session_on(&host);
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    copy();
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md");
    let run = |section: &str| {
        let script = format!("set -eux\ncd /root/checkout\n{PRELUDE}{}\n", commands(&readme, section));
        let output = host.run_with(&["bash", "-c", &script], None, Duration::from_secs(240));
        assert!(output.success(), "{section}: {output}{}", host.journal(40));
        output.text()
    };
    let first = run("The first container");
    assert!(first.contains("Hello from a container."), "{first}");
    // The line that README shows is changed.
    let flake = "/root/checkout/examples/debian/flake.nix";
    let line =
        readme.split("```").find_map(|block| block.strip_prefix("nix\n          page")).expect("the line");
    let line = format!("          page{}", line.trim_end());
    let text = host.file(flake);
    assert!(text.lines().any(|one| one == line), "{line}: not in the example");
    host.write(flake, text.replace(&line, &line.replace("from a container", "again")), 0o644);
    let updated = run("Updates");
    assert!(updated.contains("container 'web': generation 1 -> 2"), "{updated}");
    assert!(updated.contains("container 'web': generation 2 -> 1"), "{updated}");
    let daily = run("Day to day");
    assert!(daily.contains("container 'web' is removed"), "{daily}");
    assert!(!host.exists("/etc/nixos-nspawn/web.json"));
}
