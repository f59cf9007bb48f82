//! Changes of containers to their own roots before the next start: links where nspawn would write, owners of a user
//! namespace, and what nspawn itself leaves there.

use nixos_nspawn_tests::host::{Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(
    journal_links,
    shifted_root,
    no_user_namespaces,
    mount_points_in_a_user_namespace,
    ephemeral_snapshots
);

/// Restarts a container, however often that was done within a short time.
fn restart(host: &Host, name: &str) {
    host.run(&["systemctl", "reset-failed", &unit(name)]);
    host.ok(&["systemctl", "restart", &unit(name)]);
}

/// nspawn makes the directories of the container's journal as root of the host, wherever links lead.
fn journal_links(host: &Host) {
    host.install(bins());
    host.ok(&["mkdir", "-p", "/var/log/journal", "/victim"]);
    host.create_with("plain", "");
    host.create_with("mapped", r#""userNamespacing": true"#);
    let linked = |name: &str| {
        let id = host.inside(name, &["cat", "/etc/machine-id"]);
        host.run(&["readlink", &format!("/var/log/journal/{}", id.trim())]).stdout
    };
    for name in ["plain", "mapped"] {
        restart(host, name);
        let link = linked(name);
        // systemd 262 names the root by the place at which it was mounted (src/nspawn/nspawn.c).
        assert!(link.contains("/var/log/journal/"), "{link}");
        assert!(!host.unit_journal(name).contains("is not linked"));
        let links = [
            ("rm -rf /var/log; ln -s /victim /var/log", "/var/log"),
            ("rm -rf /var/log; mkdir /var/log; ln -s /victim /var/log/journal", "/var/log/journal"),
            (
                "rm -rf /var/log; mkdir -p /var/log/journal; ln -s /victim /var/log/journal/$(cat /etc/machine-id)",
                "/var/log/journal/",
            ),
        ];
        for (script, at) in links {
            host.inside(name, &["sh", "-c", script]);
            host.sh("find /var/log/journal -maxdepth 1 -type l -delete");
            restart(host, name);
            assert_eq!(host.sh("ls -A /victim"), "", "{name}: {script}");
            let journal = host.unit_journal(name);
            let said = format!("/var/lib/machines/{name}{at}");
            assert!(
                journal.contains(&said) && journal.contains("is not linked into the host's"),
                "{journal}"
            );
            assert!(host.file(&format!("/run/systemd/nspawn/{name}.nspawn")).contains("LinkJournal=no\n"));
        }
        host.inside(name, &["sh", "-c", "rm -rf /var/log"]);
        restart(host, name);
        assert!(linked(name).contains("/var/log/journal/"));
    }
    // The same below a bind mount, and for a bind mount whose destination is a link.
    host.sh("mkdir -p /srv/logs && ln -s /victim /srv/logs/journal");
    host.create_with("bound", r#""bindMounts": ["/srv/logs:/var/log"]"#);
    restart(host, "bound");
    assert!(host.unit_journal("bound").contains("/journal: is a symbolic link"));
    host.create_with("aside", r#""bindMounts": ["/srv/logs:/logs"]"#);
    host.inside("aside", &["sh", "-c", "mkdir -p /var/log"]);
    host.sh(
        "systemctl stop systemd-nspawn@aside; cd /var/lib/machines/aside; rmdir logs; ln -s var/log logs",
    );
    host.ok(&["systemctl", "start", &unit("aside")]);
    assert!(host.unit_journal("aside").contains("/journal: is a symbolic link"));
    assert_eq!(host.sh("ls -A /victim"), "");
}

/// A root whose files belong to the users of a user namespace does not start without one.
fn shifted_root(host: &Host) {
    host.install(bins());
    host.create_with("web", "");
    host.inside("web", &["sh", "-c", "echo mine > /root/mine"]);
    host.ok(&["systemctl", "stop", &unit("web")]);
    let root = "/var/lib/machines/web";
    let shift = "systemd-nspawn --quiet --register=no --keep-unit --directory=/var/lib/machines/web --as-pid2 \
        --private-users-ownership=chown";
    host.run(&["sh", "-c", &format!("{shift} --private-users=1000013824 /bin/true")]);
    assert_eq!(host.ok(&["stat", "-c", "%u", root]), "1000013824\n");
    assert!(!host.run(&["systemctl", "start", &unit("web")]).success());
    let journal = host.unit_journal("web");
    let said = "/var/lib/machines/web: belongs to user 1000013824, since its files were shifted for a user namespace";
    assert!(journal.contains(said), "{journal}");
    // The command that the message names.
    let (_, command) = journal.split_once("shift them back with '").expect("a command");
    let (command, _) = command.split_once('\'').expect("its end");
    host.run(&["sh", "-c", &format!("{command} < /dev/null")]);
    assert_eq!(host.ok(&["stat", "-c", "%u:%g", root, &format!("{root}/root/mine")]), "0:0\n0:0\n");
    host.ok(&["systemctl", "start", &unit("web")]);
    assert_eq!(host.inside("web", &["cat", "/root/mine"]), "mine\n");
}

/// On a host without user namespaces, the start fails with the reason.
fn no_user_namespaces(host: &Host) {
    host.install(bins());
    host.create_with("mapped", r#""userNamespacing": true"#);
    host.create_with("plain", "");
    // The kernel's global limit would also apply to the machine that runs the tests.
    let limit = "/proc/sys/user/max_user_namespaces";
    host.sh(&format!("echo 0 > /run/zero; mount --bind /run/zero {limit}"));
    assert!(!host.run(&["systemctl", "restart", &unit("mapped")]).success());
    let journal = host.unit_journal("mapped");
    let said = "/proc/sys/user/max_user_namespaces: is 0, so container 'mapped' cannot have a user namespace";
    assert!(journal.contains(said) && journal.contains("set userNamespacing to false"), "{journal}");
    restart(host, "plain");
    host.ok(&["umount", limit]);
    restart(host, "mapped");
}

/// Beside a mount point that did not exist, services can create their directories.
fn mount_points_in_a_user_namespace(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /srv/dir; echo one > /srv/file");
    let options = r#""userNamespacing": true, "tmpfs": ["/var/cache/deep/x"],
        "bindMounts": [{"source": "/srv/dir", "destination": "/opt/a/dir"}, {"source": "/srv/file", "destination": "/opt/b/file"}],
        "inaccessiblePaths": ["/opt/c/hidden"]"#;
    host.create_with("mapped", options);
    let made = ["/var/cache", "/var/cache/deep", "/opt", "/opt/a", "/opt/b", "/opt/c"];
    let check = || {
        for path in made {
            assert_eq!(host.inside("mapped", &["stat", "-c", "%u:%g %a", path]), "0:0 755\n", "{path}");
        }
        host.inside(
            "mapped",
            &["sh", "-c", "mkdir -p /var/cache/mine /opt/a/mine && rmdir /var/cache/mine /opt/a/mine"],
        );
    };
    check();
    assert_eq!(host.inside("mapped", &["cat", "/opt/b/file"]), "one\n");
    // Mount points of an earlier start are corrected.
    host.ok(&["systemctl", "stop", &unit("mapped")]);
    host.sh("cd /var/lib/machines/mapped && chown 2147483646:2147483646 var/cache var/cache/deep opt");
    host.ok(&["systemctl", "start", &unit("mapped")]);
    check();
}

/// NixOS makes /var/empty immutable, so that nspawn cannot remove the snapshot.
fn ephemeral_snapshots(host: &Host) {
    host.install(bins());
    host.create_with("short", r#""ephemeral": true"#);
    host.create_with("shorter", r#""ephemeral": true"#);
    let snapshots = |name: &str| {
        let find = "find / /var/lib/machines -maxdepth 1 -type d -regextype egrep -regex '.*/[.]#(machine|snapshot)[.]NAME[0-9a-f]{16}'";
        host.sh(&find.replace("NAME", name)).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        for name in ["short", "shorter"] {
            host.inside(name, &["mkdir", "-p", "/var/empty"]);
            let all = snapshots(name);
            assert_eq!(all.len(), 1, "{name}: {all:?}: {}", host.sh("ls -Al / /var/lib/machines"));
            host.ok(&["chattr", "+i", &format!("{}/var/empty", all[0])]);
        }
        host.ok(&["systemctl", "stop", &unit("short")]);
        assert!(
            snapshots("short").is_empty(),
            "{}{}",
            host.sh("find /var/lib/machines/.#*"),
            host.unit_journal("short")
        );
        assert_eq!(snapshots("shorter").len(), 1, "that of the other container stays");
        host.inside("shorter", &["test", "-d", "/var/empty"]);
        host.ok(&["systemctl", "stop", &unit("shorter")]);
        assert!(snapshots("shorter").is_empty(), "{}", host.sh("find /var/lib/machines/.#*"));
        host.ok(&["systemctl", "start", &unit("short"), &unit("shorter")]);
    }
}
