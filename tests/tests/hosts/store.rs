//! Protects the host's store from root inside a container: Debian's own Nix collects garbage there, and root tries the
//! options of mount(8). Afterwards every path of the host's store is unchanged.

use nixos_nspawn_tests::host::{Host, Output, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(
    store_stays,
    store_stays_in_a_user_namespace,
    store_stays_beside_the_daemon,
    unlocked_mounts_are_reported
);

/// The commands by which Nix deletes or changes paths. `PATH_OF_HOST` is a path of the host's store without a GC root.
const COLLECT: &[&str] = &[
    "nix-collect-garbage",
    "nix-collect-garbage -d",
    "nix-collect-garbage --delete-older-than 1d",
    "nix-store --gc",
    "nix-store --gc --max-freed 1G",
    "nix-store --delete --ignore-liveness $PATH_OF_HOST",
    "nix store gc",
    "nix store delete --ignore-liveness $PATH_OF_HOST",
    "nix store optimise",
    "nix-store --optimise",
    "nix-store --verify --check-contents --repair",
];

/// The state directories for Nix: the usual one, and empty ones, with which the whole store is garbage.
const STATES: &[&str] = &[
    "export NIX_REMOTE=local",
    "export NIX_REMOTE=local NIX_STATE_DIR=/root/empty",
    "export NIX_REMOTE='local?state=/root/empty2'",
];

/// Commands that root may try without Nix; each must fail.
const BY_HAND: &[&str] = &[
    "mount -o remount,rw /nix/store",
    "mount -o remount,bind,rw /nix/store",
    "touch /nix/store/new",
    "rm -rf $PATH_OF_HOST",
    "chmod -R u+w $PATH_OF_HOST",
    "chattr -i $PATH_OF_HOST",
    "mkdir -p /root/b && mount --bind /nix/store /root/b && mount -o remount,bind,rw /root/b",
    "rm -rf /root/b/${PATH_OF_HOST##*/}",
    "mkdir -p /root/r && mount --rbind / /root/r && mount -o remount,bind,rw /root/r/nix/store",
    "unshare -m mount -o remount,bind,rw /nix/store",
    "unshare -Urm sh -c 'mount -o remount,bind,rw /nix/store && rm -rf $PATH_OF_HOST'",
    "mount -o remount,bind,rw /nix/var/nix/db && rm -f /nix/var/nix/db/db.sqlite",
    "mount -o remount,bind,rw /nix/var/nix/profiles && rm -rf /nix/var/nix/profiles/per-nspawn",
    "touch /nix/var/nix/db/new",
    "touch /nix/var/nix/profiles/new",
    // In a mount namespace of its own, since the container needs its programs later.
    "unshare -m /host/usr/bin/busybox sh -c 'cd /nix/store && umount -l /nix/store && rm -rf ./*'",
];

/// Returns the paths, attributes and contents of the host's store and its database.
fn fingerprint(host: &Host) -> String {
    host.sh("cd /nix/store
        find . -printf '%p %y %m %U:%G %s %l\\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
        find /nix/var/nix/profiles -printf '%p %y %l\\n' | sort
        ls /nix/var/nix/db")
}

/// Adds a path without a GC root to the host's store and returns it.
fn garbage(host: &Host) -> String {
    host.sh("mkdir -p /root/garbage && echo precious > /root/garbage/file && nix-store --add /root/garbage")
        .trim()
        .to_owned()
}

fn create(host: &Host, name: &str, options: &str) {
    // The host's programs and libraries.
    let binds = r#"[{"source": "/usr", "destination": "/host/usr", "readOnly": true, "idmap": "noidmap"}]"#;
    let own = format!(r#"{{"{name}": {{"container": {{"bindMounts": {binds}{options}}}}}}}"#);
    host.own_text(&own);
    host.create(name);
    host.inside(name, &["mkdir", "-p", "/etc/nix", "/root"]);
    host.inside(name, &["sh", "-c", "printf 'experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\n' > /etc/nix/nix.conf"]);
}

/// Runs a shell command as a service of the container, with the rights of its services.
fn attempt(host: &Host, name: &str, path: &str, script: &str) -> Output {
    // busybox's shell would run its own mount and not the host's.
    let environment = "export HOME=/root PATH=/host/usr/bin:/host/usr/sbin:/usr/bin LD_LIBRARY_PATH=/host/usr/lib/x86_64-linux-gnu";
    let script = format!("{environment} PATH_OF_HOST={path}\n{script}");
    let machine = format!("--machine={name}");
    host.run(&["systemd-run", &machine, "--wait", "--pipe", "--quiet", "/host/usr/bin/dash", "-c", &script])
}

/// Tries all commands of Nix, after a check that it runs inside at all.
fn collect(host: &Host, name: &str, path: &str, states: &[&str]) {
    let before = fingerprint(host);
    assert!(before.contains(path.trim_start_matches("/nix/store/")));
    let version = attempt(host, name, path, "nix --version && mount --version && cat $PATH_OF_HOST/file");
    assert!(version.success() && version.stdout.contains("precious"), "{version}");
    for state in states {
        let output = attempt(host, name, path, &format!("{state}\n{}", COLLECT.join("\n")));
        assert_eq!(fingerprint(host), before, "{output}");
    }
}

/// Tries all commands without Nix.
fn by_hand(host: &Host, name: &str, path: &str) {
    let before = fingerprint(host);
    for command in BY_HAND {
        let output = attempt(host, name, path, command);
        assert!(!output.success() && host.exists(path), "{output}");
    }
    assert_eq!(fingerprint(host), before);
}

fn store_stays(host: &Host) {
    host.install(bins());
    let path = garbage(host);
    create(host, "plain", "");
    collect(host, "plain", &path, STATES);
    by_hand(host, "plain", &path);
    host.ok(&["systemctl", "restart", &unit("plain")]);
    for command in ["mount -o remount,bind,rw /nix/store", "mount -o remount,rw /nix/store"] {
        let output = attempt(host, "plain", &path, command);
        assert!(!output.success(), "{command}: {output}");
        // With all capabilities and no filter of system calls.
        let words: Vec<&str> = command.split(' ').collect();
        let output = host.run_inside("plain", &words);
        assert!(!output.success(), "{command}: {output}");
    }
    // A new path on the host is visible inside.
    host.write("/root/later/file", "later\n", 0o644);
    let later = host.sh("nix-store --add /root/later");
    assert_eq!(host.inside("plain", &["cat", &format!("{}/file", later.trim())]), "later\n");
    host.ok(&["nix-store", "--gc"]);
    assert!(!host.exists(&path) && !host.run_inside("plain", &["ls", &path]).success());
    host.ok(&["systemctl", "stop", &unit("plain")]);
    assert!(!host.exists("/run/nixos-nspawn/nix/plain"), "the mounts are taken away");
    assert!(!host.file("/proc/self/mountinfo").contains("nixos-nspawn"));
}

fn store_stays_in_a_user_namespace(host: &Host) {
    host.install(bins());
    let path = garbage(host);
    create(host, "mapped", r#", "userNamespacing": true"#);
    collect(host, "mapped", &path, STATES);
    by_hand(host, "mapped", &path);
    assert!(!host.exists("/run/nixos-nspawn/nix"), "the kernel locks these mounts by itself");
}

fn store_stays_beside_the_daemon(host: &Host) {
    host.install(bins());
    host.ok(&["systemd-run", "--unit=nix-daemon", "nix-daemon"]);
    host.wait_until("the daemon listens", || host.exists("/nix/var/nix/daemon-socket/socket"));
    let path = garbage(host);
    create(host, "socket", r#", "mountDaemonSocket": true"#);
    collect(host, "socket", &path, STATES);
    by_hand(host, "socket", &path);
    let replaced = attempt(host, "socket", &path, "rm -f /nix/var/nix/daemon-socket/socket");
    assert!(!replaced.success() && host.exists("/nix/var/nix/daemon-socket/socket"), "{replaced}");
    // The daemon collects what the host would: the container's own system has a root there.
    let asked =
        attempt(host, "socket", &path, "NIX_REMOTE=daemon nix path-info --recursive /run/current-system");
    assert!(asked.success() && asked.stdout.contains("-nixos-system-socket-stand-in"), "{asked}");
    // Nix treats a path in a process's environment as in use.
    let collected = attempt(host, "socket", "none", "NIX_REMOTE=daemon nix-collect-garbage");
    assert!(collected.success() && !host.exists(&path), "{collected}");
    host.ok(&["systemctl", "restart", &unit("socket")]);
    // In a user namespace the socket can be reached as well.
    create(host, "mapped", r#", "mountDaemonSocket": true, "userNamespacing": true"#);
    let asked = attempt(host, "mapped", "none", "NIX_REMOTE=daemon nix path-info /run/current-system");
    assert!(asked.success() && asked.stdout.contains("-nixos-system-mapped-stand-in"), "{asked}");
    let replaced = attempt(host, "mapped", "none", "rm -f /nix/var/nix/daemon-socket/socket");
    assert!(!replaced.success() && host.exists("/nix/var/nix/daemon-socket/socket"), "{replaced}");
}

/// If the kernel does not create user namespaces, the mounts are only read-only, and the journal says so.
fn unlocked_mounts_are_reported(host: &Host) {
    host.install(bins());
    let path = garbage(host);
    create(host, "plain", "");
    assert!(!host.status("plain").contains("cannot be locked"));
    host.write(
        "/etc/systemd/system/systemd-nspawn@plain.service.d/no.conf",
        "[Service]\nRestrictNamespaces=~user\n",
        0o644,
    );
    host.ok(&["systemctl", "daemon-reload"]);
    host.ok(&["systemctl", "restart", &unit("plain")]);
    let said = host.unit_journal("plain");
    assert!(
        said.contains("/run/nixos-nspawn/nix/plain: cannot be locked: Operation not permitted"),
        "{said}"
    );
    assert!(!host.run_inside("plain", &["touch", "/nix/store/mine"]).success());
    // The host's database, which cannot be written, keeps Nix from collecting.
    collect(host, "plain", &path, &STATES[..1]);
    // A control of the attempts themselves: on a plain mount and with a database of its own, Nix deletes what it can.
    let collected = attempt(host, "plain", "none", &format!("{}\nnix-store --gc", STATES[1]));
    assert!(!host.exists(&path), "{collected}");
    // The container has lost the programs that would stop it.
    host.ok(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", &unit("plain")]);
    host.wait_until("the container is gone", || {
        ["failed", "inactive"].contains(&host.state("plain").as_str())
    });
    assert!(!host.exists("/run/nixos-nspawn/nix/plain"), "the mounts are taken away");
}
