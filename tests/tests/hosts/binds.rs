//! Sources of bind mounts: every kind of file, sources that are swapped while a container starts, and read-only ones
//! against root inside.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(sources_of_every_kind, swapped_sources, links_of_others, read_only_is_locked, setuid_programs);

/// Fails if a mount or file of a bind source is left.
fn assert_released(host: &Host, name: &str) {
    host.ok(&["systemctl", "stop", &unit(name)]);
    assert!(!host.exists(&format!("/run/nixos-nspawn/binds/{name}")));
    let mounts = host.file("/proc/self/mountinfo");
    assert!(!mounts.contains("/run/nixos-nspawn/"), "{mounts}");
}

fn sources_of_every_kind(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /srv/sh/sub /srv/disk/below /data/www '/srv/with space:colon' /root/private
        echo shared > /srv/sh/sub/file; echo data > /data/www/file; echo odd > '/srv/with space:colon/file'
        echo below > /srv/disk/file
        mount -t tmpfs disk /srv/disk/below && echo disk > /srv/disk/below/file
        ln -s /data /srv/link; echo one > /srv/file; chmod 600 /srv/file
        systemd-run --quiet --unit=listen systemd-socket-activate --listen=/srv/listen cat");
    host.wait_until("the socket is there", || host.exists("/srv/listen"));
    let binds = r#""bindMounts": [
        {"source": "/srv/sh"}, {"source": "/srv/sh/sub", "destination": "/mnt/sub"},
        {"source": "/srv/link/www", "destination": "/mnt/www"},
        {"source": "/srv/disk", "destination": "/mnt/disk"},
        {"source": "/srv/disk", "destination": "/mnt/flat", "recursive": false},
        {"source": "/srv/file", "destination": "/mnt/file"},
        {"source": "/srv/listen", "destination": "/mnt/listen", "readOnly": true},
        {"source": "/srv/with space:colon", "destination": "/mnt/odd:place"},
        {"source": "/srv/new", "destination": "/mnt/new"},
        {"source": "/dev/null", "destination": "/mnt/null"},
        {"source": "/run", "destination": "/mnt/run"},
        {"source": "/", "destination": "/mnt/all", "readOnly": true},
        "+/etc:/mnt/own", ":/mnt/temporary", "/srv/sh:/mnt/norbind:norbind"]"#;
    host.create_with("kinds", binds);
    let cat = |path: &str| host.inside("kinds", &["cat", path]);
    assert_eq!(cat("/srv/sh/sub/file"), "shared\n");
    assert_eq!(cat("/mnt/sub/file"), "shared\n");
    assert_eq!(cat("/mnt/norbind/sub/file"), "shared\n");
    assert_eq!(cat("/mnt/www/file"), "data\n");
    assert_eq!(cat("/mnt/disk/below/file"), "disk\n");
    assert!(!host.run_inside("kinds", &["cat", "/mnt/flat/below/file"]).success());
    assert_eq!(cat("/mnt/flat/file"), "below\n");
    assert_eq!(cat("/mnt/file"), "one\n");
    assert_eq!(cat("/mnt/odd:place/file"), "odd\n");
    assert_eq!(host.inside("kinds", &["stat", "-c", "%F", "/mnt/listen"]), "socket\n");
    assert_eq!(host.inside("kinds", &["stat", "-c", "%F", "/mnt/null"]), "character special file\n");
    host.inside(
        "kinds",
        &["sh", "-c", "echo x > /mnt/null; echo mine > /mnt/new/file; echo x > /mnt/temporary/x"],
    );
    assert_eq!(host.file("/srv/new/file"), "mine\n");
    // Only root can enter a directory that was created, since root in the container can make programs setuid there.
    assert_eq!(host.sh("stat -c %a /srv/new"), "700\n");
    host.inside("kinds", &["test", "-f", "/mnt/own/machine-id"]);
    host.inside("kinds", &["test", "-d", "/mnt/run/systemd"]);
    assert_eq!(cat("/mnt/all/srv/file"), "one\n");
    // Later mounts of the host are visible inside, as always.
    host.sh("mkdir /srv/sh/later && mount -t tmpfs later /srv/sh/later && echo later > /srv/sh/later/file");
    assert_eq!(cat("/srv/sh/later/file"), "later\n");
    let copy = host.file("/run/systemd/nspawn/kinds.nspawn");
    assert!(copy.contains("# the source is /srv/sh/sub\nBind=/run/nixos-nspawn/binds/kinds/"), "{copy}");
    assert_eq!(host.sh("stat -c %a /run/nixos-nspawn/binds/kinds"), "700\n");
    host.ok(&["systemctl", "restart", &unit("kinds")]);
    assert_eq!(cat("/srv/sh/later/file"), "later\n");
    assert_released(host, "kinds");
    // The host's own mounts below the sources are still there.
    assert_eq!(host.file("/srv/disk/below/file"), "disk\n");
    assert_eq!(host.file("/srv/sh/later/file"), "later\n");
    host.ok(&["umount", "/srv/sh/later"]);

    // With a user namespace, owners are mapped as before.
    let binds = r#""userNamespacing": true, "bindMounts": [
        {"source": "/srv/sh", "readOnly": true}, {"source": "/srv/file", "destination": "/mnt/file"},
        {"source": "/root/private", "destination": "/mnt/private", "idmap": "rootidmap"},
        {"source": "/srv/sh/sub", "destination": "/mnt/unmapped", "idmap": "noidmap"}, "+/etc:/mnt/own"]"#;
    host.create_with("mapped", binds);
    assert_eq!(host.inside("mapped", &["cat", "/srv/sh/sub/file"]), "shared\n");
    assert!(!host.run_inside("mapped", &["touch", "/srv/sh/x"]).success());
    assert_eq!(host.inside("mapped", &["stat", "-c", "%u", "/mnt/file", "/mnt/unmapped/file"]), "0\n65534\n");
    host.inside("mapped", &["touch", "/mnt/private/mine", "/mnt/own/mine"]);
    assert_eq!(host.sh("stat -c %u /root/private/mine"), "0\n");
    assert_released(host, "mapped");

    // After a kill of everything, and after a power cut, the next start succeeds.
    host.ok(&["systemctl", "start", &unit("kinds")]);
    host.power_cut();
    host.sh("systemd-run --quiet --unit=listen --collect sh -c 'rm -f /srv/listen; exec systemd-socket-activate --listen=/srv/listen cat'");
    host.wait_until("the socket is there", || host.exists("/srv/listen"));
    host.run(&["systemctl", "reset-failed"]);
    host.ok(&["systemctl", "start", &unit("kinds")]);
    assert_eq!(host.inside("kinds", &["cat", "/mnt/sub/file"]), "shared\n");
    // Without an intent, the next start of another container removes the leftovers.
    host.sh("rm /etc/nixos-nspawn/kinds.json; systemctl daemon-reload; systemctl stop systemd-nspawn@kinds");
    assert!(host.exists("/run/nixos-nspawn/binds/kinds/0"));
    host.ok(&["systemctl", "restart", &unit("mapped")]);
    assert!(!host.exists("/run/nixos-nspawn/binds/kinds"));
}

/// A neighbour that can write to a source's parent swaps the source for a link while the other starts.
fn swapped_sources(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /victim /srv/sh/sub; echo victim > /victim/who; echo checked > /srv/sh/sub/who");
    host.create_with("neighbour", r#""bindMounts": ["/srv/sh"]"#);
    host.create_with("other", r#""bindMounts": [{"source": "/srv/sh/sub", "destination": "/mnt/sub"}]"#);
    assert_eq!(host.inside("other", &["cat", "/mnt/sub/who"]), "checked\n");
    // While neither exists, --prepare creates an empty directory, which is removed again.
    let swap = "cd /srv/sh; ln -s /victim evil
        while :; do
            [ -e aside ] || mv -T sub aside
            [ -L sub ] || rmdir sub 2> /dev/null
            mv -T evil sub 2> /dev/null
            sleep 0.03
            [ ! -L sub ] || mv -T sub evil
            rmdir sub 2> /dev/null
            mv -T aside sub 2> /dev/null
            sleep 0.03
        done";
    host.write("/srv/sh/swap", swap, 0o644);
    host.ok(&["systemd-run", "--machine=neighbour", "--unit=swap", "/bin/sh", "/srv/sh/swap"]);
    let mut started = 0;
    for _ in 0..12 {
        host.run(&["systemctl", "reset-failed", &unit("other")]);
        let output = host.run(&["systemctl", "restart", &unit("other")]);
        if output.success() {
            started += 1;
            let seen = host.inside("other", &["sh", "-c", "cat /mnt/sub/who || ls -A /mnt/sub"]);
            assert!(["checked\n", ""].contains(&seen.as_str()), "{seen}");
        } else {
            let journal = host.unit_journal("other");
            let why = [
                "leads through the symbolic link /srv/sh/sub",
                "/run/nixos-nspawn/binds/other/0",
                "/srv/sh/sub: ",
            ];
            assert!(why.iter().any(|why| journal.contains(why)), "{journal}");
        }
    }
    eprintln!("{started} of 12 starts succeeded");
    assert_eq!(host.ok(&["systemctl", "-M", "neighbour", "is-active", "swap"]), "active\n");
    host.ok(&["systemctl", "-M", "neighbour", "stop", "swap"]);

    // A container that can write to the parent of its own source needs no race.
    host.sh("cd /srv/sh; rm -rf sub aside evil; mkdir sub; echo checked > sub/who");
    host.create_with(
        "both",
        r#""bindMounts": [{"source": "/srv/sh"}, {"source": "/srv/sh/sub", "destination": "/mnt/sub"}]"#,
    );
    assert_eq!(host.inside("both", &["cat", "/mnt/sub/who"]), "checked\n");
    host.inside("both", &["sh", "-c", "mv /srv/sh/sub /srv/sh/old && ln -s /victim /srv/sh/sub"]);
    assert!(!host.run(&["systemctl", "restart", &unit("both")]).success());
    let journal = host.unit_journal("both");
    let why = "leads through the symbolic link /srv/sh/sub, which a container can replace in /srv/sh, container 'both' is not started";
    assert!(journal.contains(why), "{journal}");
    assert!(!host.exists("/run/nixos-nspawn/binds/both"));
    // Nothing is created in the target of a link either.
    host.inside("neighbour", &["sh", "-c", "rm /srv/sh/sub; ln -s /victim/new /srv/sh/sub"]);
    assert!(!host.run(&["systemctl", "restart", &unit("both")]).success());
    assert!(!host.exists("/victim/new"));
}

/// Links of root are followed, those of other users are not.
fn links_of_others(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /data/www /home/user /root/secret; ln -s /data /srv/link
        chown 1000 /home/user; ln -s /root/secret /home/user/www; chown -h 1000 /home/user/www
        ln -s /data /home/user/of-root");
    host.create_with("good", r#""bindMounts": ["/srv/link/www:/mnt"]"#);
    assert_eq!(host.state("good"), "active");
    for (source, why) in [
        ("/home/user/www", "/home/user/www, which belongs to user 1000"),
        ("/home/user/of-root", "/home/user/of-root, which users of the host can replace in /home/user"),
    ] {
        let own = format!(r#"{{"bad": {{"container": {{"bindMounts": ["{source}:/mnt"]}}}}}}"#);
        host.own_text(&own);
        let failed = host.ctl(&["create", "bad", "--flake", FLAKE]);
        assert!(!failed.success() && failed.text().contains(why), "{failed}");
    }
    host.sh("chown 1000 /home/user && mkdir /home/user/real");
    host.create_with("real", r#""bindMounts": ["/home/user/real:/mnt"]"#);
    assert_eq!(host.state("real"), "active");
}

/// Root inside cannot make a read-only bind mount writable, with or without a user namespace.
fn read_only_is_locked(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /srv/ro/disk; echo precious > /srv/ro/file
        mount -t tmpfs disk /srv/ro/disk && echo precious > /srv/ro/disk/file; echo precious > /srv/single");
    let binds = r#""bindMounts": [{"source": "/srv/ro", "readOnly": true, "recursive": true, "idmap": "noidmap"},
        {"source": "/srv/single", "readOnly": true, "idmap": "noidmap"}, {"source": "/srv/rw"},
        {"source": "/usr", "destination": "/host/usr", "readOnly": true, "idmap": "noidmap"}]"#;
    host.create_with("plain", binds);
    host.create_with("mapped", &format!(r#""userNamespacing": true, {binds}"#));
    let environment =
        "export PATH=/host/usr/bin:/host/usr/sbin:/usr/bin LD_LIBRARY_PATH=/host/usr/lib/x86_64-linux-gnu";
    for name in ["plain", "mapped"] {
        assert_eq!(
            host.inside(name, &["cat", "/srv/ro/file", "/srv/ro/disk/file", "/srv/single"]).lines().count(),
            3
        );
        for command in [
            "mount -o remount,bind,rw /srv/ro && touch /srv/ro/x",
            "mount -o remount,bind,rw /srv/ro/disk && touch /srv/ro/disk/x",
            "mount -o remount,rw /srv/ro/disk && touch /srv/ro/disk/x",
            "mount -o remount,bind,rw /srv/single && echo x > /srv/single",
            "mkdir -p /root/b && mount --rbind /srv/ro /root/b && mount -o remount,bind,rw /root/b && touch /root/b/x",
            "unshare -m sh -c 'mount -o remount,bind,rw /srv/ro && touch /srv/ro/x'",
            "touch /srv/ro/x",
            "rm /srv/ro/file",
        ] {
            let script = format!("{environment}\n{command}");
            let machine = format!("--machine={name}");
            let words =
                ["systemd-run", &machine, "--wait", "--pipe", "--quiet", "/host/usr/bin/dash", "-c", &script];
            let output = host.run(&words);
            assert!(!output.success(), "{name}: {command}: {output}");
        }
        host.inside(name, &["touch", &format!("/srv/rw/{name}")]);
    }
    assert_eq!(
        host.sh("cat /srv/ro/file /srv/ro/disk/file /srv/single; ls -A /srv/ro /srv/ro/disk"),
        "precious\nprecious\nprecious\n/srv/ro:\ndisk\nfile\n\n/srv/ro/disk:\nfile\n"
    );
    // The host itself can still write there, and the container sees it.
    host.sh("echo new > /srv/ro/new");
    assert_eq!(host.inside("plain", &["cat", "/srv/ro/new"]), "new\n");
    // Later mounts there are visible as well.
    host.sh("mkdir /srv/ro/later && mount -t tmpfs later /srv/ro/later && echo later > /srv/ro/later/file");
    assert_eq!(host.inside("plain", &["cat", "/srv/ro/later/file"]), "later\n");
    host.ok(&["systemctl", "stop", &unit("plain"), &unit("mapped")]);
    assert_eq!(host.file("/srv/ro/disk/file"), "precious\n");
    assert!(!host.file("/proc/self/mountinfo").contains("/run/nixos-nspawn/"));
}

/// Root inside can make programs setuid root in a writable source. Commands warn where users of the host can run
/// them.
fn setuid_programs(host: &Host) {
    host.install(bins());
    host.sh(
        "mkdir -p /srv/open /root/closed /srv/nosuid; mount -t tmpfs -o nosuid,mode=755 nosuid /srv/nosuid
        mkdir /srv/nosuid/sub; cp /usr/bin/id /srv/open/program",
    );
    let settings = |binds: &str| {
        let options = r#""userNamespacing": true, "activation": {}"#;
        host.own_text(&format!(r#"{{"web": {{"container": {{{options}, "bindMounts": [{binds}]}}}}}}"#));
    };
    let safe = r#"{"source": "/root/closed"}, {"source": "/srv/nosuid/sub"}, {"source": "/srv/open", "readOnly": true,
        "destination": "/read"}, {"source": "/srv/open", "idmap": "noidmap", "destination": "/nobody"}"#;
    let words = "root inside can make setuid programs of the host's root in ";
    settings(safe);
    let created = host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    assert!(!created.text().contains(words), "{created}");
    settings(&format!(r#"{safe}, {{"source": "/srv/open"}}, {{"source": "/srv/made/later"}}"#));
    host.sh("mkdir /srv/made");
    let said = format!("{words}/srv/open, /srv/made/later, and users of the host can run them there");
    for arguments in [&["plan", "web"][..], &["update", "web"]] {
        let output = host.ctl(arguments);
        assert!(output.text().contains(&said), "{arguments:?}: {output}");
    }
    let updated = host.ctl_ok(&["update", "web", "--allow-host-changes"]);
    assert!(updated.text().contains(&said), "{updated}");
    // An existing place is not reported again.
    let planned = host.ctl(&["plan", "web"]);
    assert!(!planned.text().contains(words), "{planned}");
    host.inside("web", &["sh", "-c", "chown 0 /srv/open/program; chmod 4755 /srv/open/program"]);
    let run = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/srv/open/program", "-u"];
    assert_eq!(host.ok(&run), "0\n", "so the warning is true");
    // Directories created for the container are closed at first.
    assert_eq!(host.sh("stat -c %a /srv/made/later"), "700\n");

    // Also without a user namespace, and where everybody can enter the containers' root directories.
    host.sh("chmod 755 /var/lib/machines");
    host.create_with("plain", "");
    let dry = host.ctl_ok(&["create", "dry", "--dry-run", "--flake", &format!("{FLAKE}#plain")]);
    assert!(dry.text().contains(&format!("{words}/var/lib/machines/dry, and")), "{dry}");
    host.own_text(r#"{"plain": {"container": {"bindMounts": ["/srv/open:/mnt"]}}}"#);
    let planned = host.ctl_ok(&["plan", "plain"]);
    assert!(planned.text().contains(&format!("{words}/srv/open, and")), "{planned}");
}
