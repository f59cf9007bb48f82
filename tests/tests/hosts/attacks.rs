//! Attacks on the host by containers and by authors of flakes: roots that are swapped during starts and removals,
//! terminal escapes in everything that commands print, and what root in a user namespace tries.

use nixos_nspawn_tests::host::{FLAKE, Host, Output, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

on_both_hosts!(swapped_roots, escapes, root_in_a_user_namespace);

/// Swaps directories of the working directory for links to /victim, and back.
const SWAP: &str = "while :; do
        for name in \"$@\"; do
            ln -sfT /victim \"$name.link\" 2> /dev/null
            mv -T \"$name\" \"$name.aside\" 2> /dev/null && mv -T \"$name.link\" \"$name\" 2> /dev/null
        done
        for name in \"$@\"; do
            mv -T \"$name\" \"$name.link\" 2> /dev/null && mv -T \"$name.aside\" \"$name\" 2> /dev/null
        done
    done";

/// Starts a process in a neighbour that swaps these directories of a container's root.
fn swap(host: &Host, process: &str, names: &[&str]) {
    let unit = format!("--unit={process}");
    let script = format!("cd /web; {SWAP}");
    let words = ["systemd-run", "--machine=neighbour", "--quiet", &unit, "/bin/sh", "-c", &script, "sh"];
    host.ok(&[&words[..], names].concat());
}

fn swapped_roots(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /victim/log /victim/journal; echo precious > /victim/precious");
    let victim = || host.sh("cd /victim; find . | sort; cat precious");
    let before = victim();
    // Without mount points below the directories that are swapped: nspawn resolves these by path, see
    // docs/decisions/bind-sources.md.
    host.create_with("web", r#""inaccessiblePaths": ["/srv/hidden"]"#);
    host.sh("mkdir -p /var/log/journal");
    host.create_with("neighbour", r#""bindMounts": ["/var/lib/machines/web:/web"]"#);
    host.ok(&["systemctl", "stop", &unit("web")]);
    swap(host, "swap", &["etc", "var", "srv"]);
    let mut started = 0;
    for _ in 0..12 {
        host.run(&["systemctl", "reset-failed", &unit("web")]);
        started += u32::from(host.run(&["systemctl", "restart", &unit("web")]).success());
        assert_eq!(victim(), before, "{}", host.unit_journal("web"));
    }
    eprintln!("{started} of 12 starts succeeded");
    // nspawn itself would follow links to the directory of journals.
    let said = host.sh("journalctl --sync; journalctl --boot --no-pager --identifier=unit-helper");
    assert!(said.contains("/var/lib/machines/web: another container can write to it"), "{said}");
    assert_eq!(host.ok(&["systemctl", "-M", "neighbour", "is-active", "swap"]), "active\n");
    host.ok(&["systemctl", "-M", "neighbour", "stop", "swap"]);
    host.ok(&["systemctl", "stop", &unit("web")]);

    // Four processes swap what is being deleted.
    host.sh("cd /var/lib/machines/web; for name in a b c d; do
            mkdir -p $name; for number in $(seq 400); do mkdir -p $name/$number/x/y; echo x > $name/$number/file; done
        done");
    for name in ["a", "b", "c", "d"] {
        let all: Vec<String> = (1..=100).map(|number| format!("{name}/{number}")).collect();
        swap(host, &format!("swap-{name}"), &all.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let removed = host.ctl(&["remove", "web", "--delete-state"]);
    assert_eq!(victim(), before, "{removed}");
    for name in ["a", "b", "c", "d"] {
        host.run(&["systemctl", "-M", "neighbour", "stop", &format!("swap-{name}")]);
    }
    // An entry that vanishes meanwhile is an error, after which the removal can be repeated.
    if !removed.success() {
        assert!(removed.stderr.contains("/var/lib/machines/web: cannot be deleted"), "{removed}");
        host.run(&["nixos-nspawn", "remove", "web", "--delete-state"]);
    }
    assert_eq!(
        host.sh("ls /var/lib/machines; ls -d /var/lib/machines/.#web* 2> /dev/null || :"),
        "neighbour\n",
        "{removed}"
    );
    assert_eq!(victim(), before);
}

/// Fails if the output could control a terminal, or would be shown in another order.
fn harmless(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let bad = text
            .chars()
            .find(|c| c.is_control() && !['\n', '\t'].contains(c) || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(bad, None, "{text:?}");
    }
}

fn escapes(host: &Host) {
    host.install(bins());
    // ESC, the control character CSI in UTF-8 and in bytes, a bell, a title, and a right-to-left override.
    let evil = r"\033[31mred \302\23331m \233 \007 \033]0;title\007 \342\200\256 rest\r";
    let web = |page: &str, key: &str, script: &str| {
        let mut settings = dynamic(page);
        settings[key] = json!(script);
        host.own(&json!({ "web": settings }));
    };
    // The container's journal, of a start that fails.
    web("one\n", "boot", &format!("printf '{evil}\\n'; printf '{evil}\\n' >&2; exit 1"));
    let failed = host.ctl(&["create", "web", "--flake", FLAKE]);
    assert!(!failed.success() && failed.text().contains("the last lines of the journal"), "{failed}");
    harmless(&failed);
    host.own(&json!({"web": dynamic("two\n")}));
    host.create("web");
    // The output of a switch, and units that fail with a description of their own.
    let unit = format!("printf '[Unit]\\nDescription={evil}\\n[Service]\\nExecStart=/bin/false\\n' > /run/systemd/system/evil.service
        systemctl daemon-reload; systemctl start evil; printf '{evil}\\n'; printf '{evil}\\n' >&2; exit 1");
    web("three\n", "switch", &unit);
    let failed = host.ctl(&["update", "web", "--timeout", "5s"]);
    assert!(!failed.success() && failed.text().contains("red"), "{failed}");
    harmless(&failed);
    for words in [
        &["list"][..],
        &["status", "web"],
        &["show", "web"],
        &["list-generations", "web"],
        &["list", "--json"],
    ] {
        harmless(&host.ctl(words));
    }

    // A flake's names, and the messages of its evaluation and build.
    let nix = r#"{ outputs = _: let evil = builtins.fromJSON "\"\\u001b[31mred\\u009b31m\\u202e\\n\""; in {
        nixosContainers = { ${"a${evil}b"} = 1; traced = builtins.trace evil (throw evil); built = derivation {
            name = "built"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "printf '${evil}'; exit 1" ];
        }; }; }; }"#;
    host.write("/root/evil/flake.nix", nix, 0o644);
    for attribute in ["web", "traced", "built", "\"a\u{1b}[31m\"", "x\ny"] {
        let reference = format!("/root/evil#{attribute}");
        let refused = host.ctl(&["create", "other", "--flake", &reference]);
        assert!(!refused.success(), "{refused}");
        harmless(&refused);
        let own = |line: &&str| line.starts_with("nixos-nspawn: ") && !line.ends_with("'other': building");
        let said = refused.stderr.lines().filter(own).count();
        assert!(said == 1 && !refused.stderr.contains("\nb, "), "{refused}");
    }
    assert!(!host.exists("/etc/nixos-nspawn/other.json"));
}

fn root_in_a_user_namespace(host: &Host) {
    host.install(bins());
    host.create_with("web", r#""userNamespacing": true"#);
    let one = host.sh("ls /nix/store | head -n 1");
    for command in [
        "mount -o remount,bind,rw /nix/store && touch /nix/store/mine",
        "mount -o remount,rw /nix/store && touch /nix/store/mine",
        "umount /nix/store && touch /nix/store/mine",
        // The value stays the same, since this setting is the machine's.
        "mount -o remount,bind,rw /proc/sys && cat /proc/sys/kernel/sysrq > /run/x && cat /run/x > /proc/sys/kernel/sysrq",
        "umount /proc/sys && cat /proc/sys/kernel/sysrq > /run/x && cat /run/x > /proc/sys/kernel/sysrq",
        "cat /proc/sys/kernel/sysrq > /run/x && cat /run/x > /proc/sys/kernel/sysrq",
        "mknod /run/device b 8 0",
        "mknod /run/device c 1 1",
        "mount -t tmpfs -o dev tmpfs /mnt && mknod /mnt/device c 1 1",
    ] {
        let machine = "--machine=web";
        let words = ["systemd-run", machine, "--wait", "--pipe", "--quiet", "/bin/sh", "-c", command];
        let output = host.run(&words);
        assert!(!output.success(), "{command}: {output}");
    }
    assert!(!host.exists("/nix/store/mine"));
    assert_eq!(host.sh("ls /nix/store | head -n 1"), one);
}
