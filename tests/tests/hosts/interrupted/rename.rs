//! Renames: everything has the new name afterwards, however often they are killed.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, light};
use nixos_nspawn_tests::on_both_hosts;

use super::{assert_half, killed, settle, stoppable};

on_both_hosts!(renames, renames_on_btrfs, renames_killed_at_any_time);

/// Sets and shows extended attributes; one of them is an access control list (`acl(5)`), which 1234 has a part in.
const ATTRIBUTES: &str = r#"use strict; my ($do, @paths) = @ARGV;
    my $acl = pack("L(SSl)5", 2, 1, 7, -1, 2, 6, 1234, 4, 5, -1, 16, 7, -1, 32, 5, -1);
    for my $path (@paths) { for my $pair (["user.mark", "a\nb\0c"], ["system.posix_acl_access", $acl]) {
        my ($name, $value) = @$pair;
        if ($do eq "set") { syscall(188, $path, $name, $value, length $value, 0) == 0 or die "$path: $name: $!"; next }
        my $found = "\0" x 100; my $length = syscall(191, $path, $name, $found, 100);
        print "$path $name ", $length < 0 ? "none" : unpack("H*", substr($found, 0, $length)), "\n"
    } }"#;

/// Writes state with owners, attributes and links.
pub fn fill(host: &Host, name: &str) {
    host.sh(&format!(
        "cd /var/lib/machines/{name}; mkdir -p srv/deep; echo kept > srv/data; ln srv/data srv/hard; ln -s ../data srv/deep/soft
        chown 1000:1001 srv/data; chown -h 1002 srv/deep/soft; chown 1879048192 srv/deep; printf x > \"srv/$(printf 'line\\nbreak')\"
        mkfifo srv/pipe; truncate -s 1M srv/hole; echo end >> srv/hole; mkdir -p srv/$(printf %0200d 1)/$(printf %0200d 2)
        perl -e '{ATTRIBUTES}' set srv/data srv/deep
        chmod 4750 srv/data; touch -d '2020-01-02 03:04:05.678901234' srv/deep"
    ));
}

/// Describes all of the state.
pub fn state(host: &Host, name: &str) -> String {
    host.sh(&format!(
        "cd /var/lib/machines/{name}; find srv ! -path srv -printf '%P %y %U %G %m %l %n %s\\n' | sed 's/ d \\(.*\\) [0-9]*$/ d \\1/' | sort
        perl -e '{ATTRIBUTES}' get srv/data srv/deep; stat -c %y srv/deep; cat srv/data; md5sum < srv/hole"
    ))
}

/// Returns everything on the host that has this name.
pub fn named(host: &Host, name: &str) -> String {
    host.sh(&format!(
        "find /etc/nixos-nspawn /etc/systemd/system /nix/var/nix/profiles/per-nspawn /nix/var/nix/gcroots /var/lib/machines \
            /run/nixos-nspawn /run/systemd/nspawn /run/systemd/generator /run/systemd/network \
            -name '*{name}*' ! -path '/var/lib/machines/*/*' ! -path '/run/nixos-nspawn/nix/*/*' 2> /dev/null | grep -vE '[.](pid|lock)$' || true"
    ))
}

fn renames(host: &Host) {
    host.install(stoppable());
    host.create("web");
    for place in ["off", "stopped"] {
        host.ctl_ok(&["create", place, "--flake", FLAKE, "--no-start"]);
    }
    fill(host, "web");
    let before = state(host, "web");
    host.ctl_ok(&["pin", "web"]);
    host.ctl_ok(&["hold", "web", "a reason"]);

    for (words, code, text) in [
        (
            &["rename", "web", "shop"][..],
            10,
            "container 'web' is running, nothing was changed; 'nixos-nspawn stop web'",
        ),
        (&["rename", "web", "off", "--restart"], 10, "already exists"),
        (&["rename", "web", "web"], 2, "has that name already"),
        (&["rename", "nobody", "shop"], 2, "there is no container 'nobody'"),
        (&["rename", "web", "-x"], 2, ""),
        (&["rename", "web", "sh/op"], 2, ""),
    ] {
        let refused = host.ctl(words);
        assert!(refused.code() == code && refused.stderr.contains(text), "{refused}");
    }
    // What requires it would stop, and could not start again.
    host.sh("systemd-run --unit=needing -p Requires=systemd-nspawn@web.service sleep infinity");
    for words in
        [&["rename", "web", "shop", "--restart"][..], &["rename", "web", "shop", "--restart", "--dry-run"]]
    {
        let refused = host.ctl(words);
        let said =
            "needing.service is running and requires container 'web', so it would stop, nothing was changed";
        assert!(refused.code() == 10 && refused.stderr.contains(said), "{refused}");
    }
    assert_eq!(
        (host.sh("systemctl is-active needing").trim(), host.state("web").as_str()),
        ("active", "active")
    );
    host.sh("systemctl stop needing");
    let recorded = host.recorded("web");
    let would = host.ctl_ok(&["rename", "web", "shop", "--restart", "--dry-run"]);
    assert!(would.stdout.contains("would rename /var/lib/machines/web to /var/lib/machines/shop"), "{would}");
    assert_eq!((host.recorded("web"), named(host, "shop").as_str()), (recorded, ""));

    let renamed = host.ctl_ok(&["rename", "web", "shop", "--restart"]);
    assert!(renamed.stdout.contains("'web' is renamed to 'shop' and restarted"), "{renamed}");
    assert_eq!((named(host, "web").as_str(), host.state("web").as_str()), ("", "inactive"));
    assert_eq!((host.state("shop").as_str(), state(host, "shop")), ("active", before.clone()));
    host.assert_agreed("shop");
    assert!(host.exists("/nix/var/nix/gcroots/nixos-nspawn/shop-pin-1"));
    assert!(host.ctl_ok(&["show", "shop"]).stdout.contains("a reason"));
    assert_eq!(host.inside("shop", &["cat", "/srv/data"]), "kept\n");
    // It is a container like any other.
    host.own(&serde_json::json!({"shop": {"page": "second\n"}}));
    host.ctl_ok(&["rename", "shop", "web", "--restart"]);
    host.ctl_ok(&["unhold", "web"]);

    for (at, place) in
        ["begun", "stopped", "forgotten", "state", "profile", "roots", "recorded", "done"].iter().enumerate()
    {
        let (old, new) = if at % 2 == 0 { ("web", "shop") } else { ("shop", "web") };
        killed(host, &format!("rename-{place}"), &["rename", old, new, "--restart"]);
        if at % 3 == 2 {
            assert_eq!(host.power_cut(), "running", "{place}");
            // No boot starts half of it.
            assert!(*place != "state" || host.state(old) == "inactive" && host.state(new) == "inactive");
        }
        assert_half(host, old, "half renamed");
        let settled = settle(host);
        assert!(settled.stderr.contains("half renamed"), "{settled}");
        assert_eq!(named(host, old), "", "{place}");
        assert_eq!((host.state(new).as_str(), state(host, new)), ("active", before.clone()), "{place}");
        host.assert_agreed(new);
    }
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert_eq!(named(host, "web") + &named(host, "shop"), "");
}

fn renames_on_btrfs(host: &Host) {
    host.mount_btrfs();
    host.install(stoppable());
    let activation = serde_json::json!({"snapshot": true, "strategy": "restart"});
    host.own(&serde_json::json!({"web": {"page": "first\n", "container": {"activation": activation}}, "stopped": {}}));
    host.create("web");
    host.ctl_ok(&["create", "stopped", "--flake", FLAKE, "--no-start"]);
    fill(host, "web");
    host.own(&serde_json::json!({"web": {"page": "second\n", "container": {"activation": activation}}, "stopped": {}}));
    host.ctl_ok(&["update", "web"]);
    let before = state(host, "web");
    for (old, new, place) in [("web", "shop", "rename-state"), ("shop", "web", "rename-snapshots")] {
        killed(host, place, &["rename", old, new, "--restart"]);
        settle(host);
        assert_eq!((host.state(new).as_str(), state(host, new)), ("active", before.clone()), "{place}");
        host.assert_agreed(new);
    }
    // The snapshots are still those of its generations.
    host.ctl_ok(&["rename", "web", "shop", "--restart"]);
    host.sh("echo lost > /var/lib/machines/shop/srv/data");
    host.ctl_ok(&["rollback", "shop", "--to", "1", "--with-state"]);
    assert_eq!(host.file("/var/lib/machines/shop/srv/data"), "kept\n");
}

/// Kills that no failpoint is at. The container always has one name, with everything.
fn renames_killed_at_any_time(host: &Host) {
    host.install(bins());
    host.own(&serde_json::json!({"web": light("first\n"), "stopped": light("first\n")}));
    host.create("web");
    host.ctl_ok(&["create", "stopped", "--flake", FLAKE, "--no-start"]);
    fill(host, "web");
    let before = state(host, "web");
    let (mut old, mut new, mut kills) = ("web", "shop", 0);
    for milliseconds in [15, 30, 45, 60, 80, 100, 120, 145, 170, 200, 240, 300] {
        let limit = format!("0.{milliseconds:03}");
        let words = ["timeout", "--signal=KILL", &limit, "nixos-nspawn", "rename", old, new, "--restart"];
        kills += usize::from(host.run(&words).code() != 0);
        settle(host);
        if host.exists(&format!("/etc/nixos-nspawn/{new}.json")) {
            (old, new) = (new, old);
        }
        assert_eq!(named(host, new), "", "{limit}");
        assert_eq!((host.state(old).as_str(), state(host, old)), ("active", before.clone()), "{limit}");
        host.assert_agreed(old);
    }
    assert!(kills > 3, "only {kills} kills");
}
