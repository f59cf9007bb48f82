//! The role of examples/ansible, by a real ansible on three hosts: apply, a rolling update, and a gate that fails.

use nixos_nspawn_tests::host::{CONTROLLER, FLAKE, Fleet, Host, Output, Suite, bins, dynamic};
use std::path::Path;
use std::time::Duration;

/// A flake with one container.
const TEXT: &str = r#"{
  outputs = { self }: {
    nixosContainers.web = import ./container.nix (
      { name = "web"; system = "x86_64-linux"; } // builtins.fromJSON (builtins.readFile ./web.json)
    );
  };
}"#;

/// Packs the flake for the server on the controller.
fn publish(host: &Host, page: &str) {
    host.write("/root/infra/flake.nix", TEXT, 0o644);
    host.write("/root/infra/web.json", dynamic(page).to_string(), 0o644);
    host.sh(&format!(
        "cp {FLAKE}/container.nix /root/infra; mkdir -p /srv/flakes; tar -czf /srv/flakes/flake.tar.gz -C /root/infra ."
    ));
}

fn play(controller: &Host, book: &str, more: &[&str]) -> Output {
    let script = "cd /root/ansible && exec ansible-playbook -i hosts.ini \"$@\"";
    let words = [&["sh", "-c", script, "play", book], more].concat();
    controller.run_with(&words, None, Duration::from_secs(400))
}

/// Returns the line of the recap for a host, without spaces.
fn recap(output: &Output, host: &str) -> String {
    let line = output.stdout.lines().rev().find(|line| line.starts_with(host));
    line.unwrap_or_else(|| panic!("{output}")).split_whitespace().collect()
}

#[test]
fn role_and_playbooks() {
    let fleet = Fleet::boot(&[Suite::Trixie, Suite::Trixie, Suite::Forky], bins());
    let controller = &fleet.controller;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ansible");
    for entry in walkdir::WalkDir::new(&example).into_iter().map(|entry| entry.expect("readable")) {
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(&example).expect("below");
            controller.copy_in(entry.path(), &format!("/root/ansible/{}", path.display()), 0o644);
        }
    }
    let hosts = "[containers]\nhost1\nhost2\nhost3\n[containers:vars]\nansible_user=root\n";
    controller.write("/root/ansible/hosts.ini", hosts, 0o644);
    publish(controller, "one\n");
    controller.sh(&format!(
        "systemd-run --quiet --unit=flakes busybox httpd -f -p {CONTROLLER}:8000 -h /srv/flakes"
    ));
    let flake = format!("nixos_nspawn_flake=http://{CONTROLLER}:8000/flake.tar.gz");

    // A check changes nothing, the play does, and a second one has nothing to do.
    for (more, changed) in [(&["--check"][..], "changed=1"), (&[], "changed=1"), (&[], "changed=0")] {
        let played = play(controller, "site.yml", &[&["-e", &flake], more].concat());
        assert!(played.success(), "{played}");
        for name in ["host1", "host2", "host3"] {
            assert!(recap(&played, name).contains(changed), "{name} {more:?}: {played}");
        }
        let there = fleet.hosts.iter().all(|host| host.exists("/etc/nixos-nspawn/web.json"));
        assert_eq!(there, more.is_empty(), "{played}");
    }

    publish(controller, "two\n");
    let played = play(controller, "update.yml", &[]);
    assert!(played.success(), "{played}");
    assert!(fleet.hosts.iter().all(|host| host.system_page("web") == "two\n"), "{played}");

    // The gate fails on the first host: it goes back, and the others are not touched.
    publish(controller, "three\n");
    let before: Vec<String> = fleet.hosts[1..].iter().map(|host| host.recorded("web")).collect();
    let gate = ["-e", "nixos_nspawn_gate='test -e /root/good'", "-e", "nixos_nspawn_gate_retries=2"];
    let played = play(controller, "update.yml", &gate);
    assert!(!played.success(), "{played}");
    assert!(played.stdout.contains("host1: the update failed and was taken back"), "{played}");
    assert_eq!(fleet.hosts[0].system_page("web"), "two\n");
    let after: Vec<String> = fleet.hosts[1..].iter().map(|host| host.recorded("web")).collect();
    assert_eq!(before, after);
    // What was rolled back is not tried again by itself.
    fleet.hosts[0].ctl_ok(&["update", "--all"]);
    assert_eq!(fleet.hosts[0].system_page("web"), "two\n");
}
