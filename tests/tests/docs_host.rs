//! Runs every line of README's console examples in "The first container", "Updates" and "Day to day", unchanged and in
//! order, on a throwaway Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixos_nspawn_tests::host::{Host, Suite, bins};

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

#[test]
fn readme_on_a_host() {
    let host = Host::boot(Suite::Trixie);
    host.copy_in(&bins().ctl, "/usr/local/bin/nixos-nspawn", 0o755);
    host.copy_in(&bins().generator, "/usr/local/bin/nixos-nspawn-generator", 0o755);
    for file in ["flake.nix", "container.nix"] {
        let from = repository().join("examples/debian").join(file);
        host.copy_in(&from, &format!("/root/checkout/examples/debian/{file}"), 0o644);
    }
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md");
    let run = |section: &str| {
        let script = format!("set -eux\ncd /root/checkout\n{PRELUDE}{}\n", commands(&readme, section));
        let output = host.run_with(&["bash", "-c", &script], None, Duration::from_secs(240));
        assert!(output.success(), "{section}: {output}{}", host.journal(40));
        output.text()
    };
    let first = run("The first container");
    assert!(first.contains("Hello from a container."), "{first}");
    // An update needs a change.
    let flake = "/root/checkout/examples/debian/flake.nix";
    host.ok(&["sed", "-i", "s/Hello from a container/Hello again/", flake]);
    let updated = run("Updates");
    assert!(updated.contains("container 'web': generation 1 -> 2"), "{updated}");
    assert!(updated.contains("container 'web': generation 2 -> 1"), "{updated}");
    let daily = run("Day to day");
    assert!(daily.contains("container 'web' is removed"), "{daily}");
    assert!(!host.exists("/etc/nixos-nspawn/web.json"));
}
