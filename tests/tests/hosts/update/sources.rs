//! Where an update builds from, and what `plan` says before it.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{unchanged, web, with, with_option};

on_both_hosts!(plans_and_sources);

fn plans_and_sources(host: &Host) {
    host.install(bins());
    // A relative path is recorded as an absolute one, with the revision that was built.
    web(host, &dynamic("one\n"));
    host.sh("cd /root && nixos-nspawn create web --flake ./flake 2> /dev/null");
    let source = host.intent("web")["source"].clone();
    assert_eq!(source["flake"], FLAKE, "{source}");
    let locked = source["locked"].as_str().unwrap_or_default().to_owned();
    assert!(locked.contains("narHash"), "{source}");
    unchanged(host, 0, &["plan", "web", "--exit-code"]);
    unchanged(host, 0, &["update", "web", "--dry-run", "--exit-code"]);

    web(host, &with_option("two\n", "bindMounts", json!(["/srv/more:/srv/seen"])));
    for command in [&["plan", "web"][..], &["update", "web", "--dry-run"]] {
        let plan = unchanged(host, 4, &[command, &["--exit-code"]].concat());
        for word in ["+Bind=/srv/more:/srv/seen", "would restart it", "--allow-host-changes"] {
            assert!(plan.stdout.contains(word), "{word} is not in {plan}");
        }
        unchanged(host, 0, command);
    }
    host.ctl_ok(&["update", "web", "--allow-host-changes"]);
    unchanged(host, 0, &["plan", "web", "--exit-code"]);
    assert_ne!(host.intent("web")["source"]["locked"], locked.as_str());

    // A commit with the same result is no change, not even of the recorded revision.
    host.write(&format!("{FLAKE}/unrelated"), "", 0o644);
    unchanged(host, 0, &["update", "web"]);

    // Another source replaces the recorded one, even an existing build.
    let nspawn = host.nspawn("web");
    host.sh("cp -r /root/flake /root/moved");
    host.own(&json!({"other": dynamic("three\n")}));
    host.sh("cp /root/flake/own.json /root/moved/own.json && cd /root/moved && nixos-nspawn update web --flake .#other --allow-host-changes 2> /dev/null");
    host.assert_agreed("web");
    assert_eq!(host.intent("web")["source"]["flake"], "/root/moved#other");
    assert_eq!(host.system_page("web"), "three\n");
    assert_ne!(host.nspawn("web"), nspawn, "a bind mount was dropped");
    host.own(&json!({"web": dynamic("four\n")}));
    let installable = format!("{FLAKE}#nixosContainers.web");
    let built = host.ok(&["nix", "build", "--no-link", "--print-out-paths", &installable]);
    host.ctl_ok(&["update", "web", "--profile", built.trim()]);
    assert_eq!(host.system_page("web"), "four\n");
    unchanged(host, 0, &["update", "web"]);
    unchanged(host, 2, &["update", "nobody"]);
    // The shell replaces '~' only at the start of a word; the program does not guess.
    for (option, value, path) in [
        ("--flake", "~/flake#web", "/root/flake"),
        ("--flake", "~root/flake", "/root/flake"),
        ("--flake", "path:~/flake", "path:/root/flake"),
        ("--flake", "git+file://~/flake?ref=a", "git+file:///root/flake?ref=a"),
        ("--config", "~/x.nix", "/root/x.nix"),
        ("--profile", "~/x", "/root/x"),
    ] {
        let refused = unchanged(host, 10, &["update", "web", &format!("{option}={value}")]);
        let why =
            "begins with '~', which the shell did not replace, nothing was changed; name the absolute path";
        assert!(refused.stderr.trim_end().ends_with(&format!("{why}, such as {path}")), "{refused}");
        assert!(refused.stderr.contains(value.split('#').next().unwrap_or_default()), "{refused}");
    }
    let refused = host.ctl(&["create", "home", "--flake=~/flake"]);
    assert!(refused.code() == 10 && !host.exists("/etc/nixos-nspawn/home.json"), "{refused}");
    unchanged(host, 10, &["update", "web", "--", "--override-input", "a", "path:~/a"]);
    unchanged(host, 10, &["update", "web", "--profile", "/nix/store/nothing-here"]);

    // Builds that fail in the evaluation and in the builder.
    for (key, value) in [("page", json!(1)), ("switch", json!("$(kill -KILL $$)"))] {
        web(host, &with("five\n", key, value));
        let output = unchanged(host, 11, &["update", "web", "--flake", FLAKE]);
        assert!(
            output.stderr.contains("error:") && output.stderr.contains("nothing was changed"),
            "{output}"
        );
        host.assert_agreed("web");
    }
    configurations(host);
}

/// A flake for hosts has systems, but no containers.
fn configurations(host: &Host) {
    let text = r#"{ outputs = { self }: { nixosConfigurations.plain.config.system.build.toplevel =
        import ./container.nix { name = "plain"; system = "x86_64-linux"; page = "plain\n"; }; }; }"#;
    host.write("/root/systems/flake.nix", text, 0o644);
    host.sh(&format!("cp {FLAKE}/container.nix /root/systems/"));
    for attribute in ["", "#plain", "#nixosConfigurations.plain"] {
        let reference = format!("/root/systems{attribute}");
        let created = host.ctl_ok(&["create", "plain", "--flake", &reference]);
        let note =
            "nixosConfigurations.plain.config.system.build.toplevel is a NixOS configuration, so all options";
        assert!(created.stderr.contains(note), "{created}");
        assert_eq!(host.system_page("plain"), "plain\n");
        assert!(host.ctl_ok(&["update", "plain"]).stdout.contains("up to date"));
        host.ctl_ok(&["remove", "plain", "--delete-state"]);
    }
    let missing = host.ctl(&["create", "none", "--flake", "/root/systems"]);
    assert_eq!(missing.code(), 10, "{missing}");
    let why = "there is no nixosContainers";
    assert!(
        missing.stderr.contains(why) && missing.stderr.contains("nixosConfigurations.plain"),
        "{missing}"
    );
}
