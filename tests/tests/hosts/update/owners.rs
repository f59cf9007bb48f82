//! Git checkouts of users: root can read them from any environment, writes nothing to them, and refuses them once
//! they belong to another user.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{unchanged, web};

on_both_hosts!(checkouts_of_users);

fn checkouts_of_users(host: &Host) {
    host.install(bins());
    host.sh("useradd --create-home alice; useradd --create-home bob; chmod 755 /home/alice");
    web(host, &dynamic("one\n"));
    let git = "git -c user.name=a -c user.email=a@example.org";
    let commit = |page: &str| {
        web(host, &dynamic(page));
        host.sh(&format!(
            "cp {FLAKE}/* /home/alice/infra/hosts/ && chown -R alice: /home/alice/infra
             su alice -c 'cd ~/infra && git add . && {git} commit --quiet --message x'"
        ));
    };
    host.sh("mkdir -p /home/alice/infra/hosts && chown -R alice: /home/alice && su alice -c 'git init -q ~/infra'");
    commit("one\n");
    let roots = "find /home/alice ! -user alice";

    // Root calls the program directly, from a subdirectory of the checkout.
    host.sh("cd /home/alice/infra/hosts && nixos-nspawn create web --flake . 2> /dev/null");
    let source = host.intent("web")["source"].clone();
    assert_eq!(
        source["owner"],
        json!(host.sh("id -u alice").trim().parse::<u32>().expect("a number")),
        "{source}"
    );
    assert!(source["locked"].as_str().is_some_and(|locked| locked.contains("rev=")), "{source}");
    assert_eq!(host.sh(roots), "");

    // A service calls it, with neither SUDO_UID nor HOME in its environment.
    commit("two\n");
    host.sh("systemd-run --wait --quiet --pipe nixos-nspawn update web");
    assert_eq!(host.system_page("web"), "two\n");
    // A second administrator calls it through `sudo -E`, and has a program for root in a configuration of Nix.
    commit("three\n");
    host.write("/home/bob/hook", "#!/bin/sh\ntouch /run/hooked\n", 0o755);
    host.write("/home/bob/config/nix/nix.conf", "post-build-hook = /home/bob/hook\n", 0o644);
    let sudo = "SUDO_UID=$(id -u bob) XDG_CONFIG_HOME=/home/bob/config NIX_USER_CONF_FILES=/home/bob/config/nix/nix.conf";
    host.sh(&format!("{sudo} nixos-nspawn update web"));
    assert_eq!(host.system_page("web"), "three\n");
    assert!(!host.exists("/run/hooked"));
    web(host, &dynamic("hooked\n"));
    host.sh(&format!("{sudo} nix build --no-link {FLAKE}#nixosContainers.web"));
    assert!(host.exists("/run/hooked"), "Nix runs it otherwise");
    // A dirty tree is built as it was when it was resolved.
    web(host, &dynamic("four\n"));
    host.sh(&format!(
        "cp {FLAKE}/own.json /home/alice/infra/hosts/ && chown alice: /home/alice/infra/hosts/own.json"
    ));
    host.ctl_ok(&["update", "web"]);
    assert_eq!(host.system_page("web"), "four\n");
    unchanged(host, 0, &["update", "web"]);
    assert_eq!(host.sh(roots), "", "root left something in the checkout");
    assert!(!host.exists("/root/.gitconfig") && !host.exists("/etc/gitconfig"));

    // Another user's checkout at the same path is refused until its flake is named.
    host.sh("chown -R bob: /home/alice/infra");
    let refused = unchanged(host, 10, &["update", "web"]);
    assert!(
        refused.stderr.contains("when it was recorded") && refused.stderr.contains("--flake"),
        "{refused}"
    );
    host.ctl_ok(&["update", "web", "--flake", "/home/alice/infra/hosts"]);
    assert_ne!(host.intent("web")["source"]["owner"], source["owner"]);

    // Git does not track flake.nix.
    host.sh("mkdir /home/alice/new && cd /home/alice/new && git init -q && cp /root/flake/flake.nix .");
    let output = unchanged(host, 11, &["update", "web", "--flake", "/home/alice/new"]);
    let why = "nix flake metadata: exit status 1: flake.nix is missing, or not tracked by Git; if it is in a Git \
               checkout, 'git add' it";
    assert!(output.stderr.lines().any(|line| line.contains(why)), "{output}");
    // Nor a file that it imports.
    host.write("/home/alice/new/flake.nix", "{ outputs = _: import ./more.nix; }", 0o644);
    host.sh("cd /home/alice/new && git add flake.nix");
    host.write("/home/alice/new/more.nix", "{ }", 0o644);
    let output = unchanged(host, 11, &["update", "web", "--flake", "/home/alice/new"]);
    let why = "more.nix is missing, or not tracked by Git";
    assert!(output.stderr.lines().any(|line| line.contains(why)), "{output}");
}
