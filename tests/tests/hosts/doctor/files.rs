//! What is read from files and programs, and limits of the kernel.

use nixos_nspawn_tests::host::{Host, bins};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

use super::repairs::{old_copy, repairs};
use super::{Case, alone, assert_found, case, doctor, found, healthy, of, together};

on_both_hosts!(files_and_programs);

fn files_and_programs(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /srv/data /srv/odd");
    let mount = |source: &str| json!({ "source": source });
    host.own(&json!({
        "web": {"container": {"userNamespacing": true, "bindMounts": [mount("/srv/data"), mount("/srv/odd")]}},
        "plain": {},
    }));
    host.create("web");
    host.ctl_ok(&["pin", "web"]);
    let all = healthy(host);
    for check in CHECKS {
        assert!(all.iter().any(|one| one.check == *check), "{check}: {all:#?}");
    }

    generator(host);
    together(host, &records_cases());
    together(host, &system_cases());
    assert_eq!(healthy(host).len(), all.len());
    limits(host);
    space(host);
    repairs(host);
    old_copy(host);
    without_rights(host);
}

/// The checks of a running host.
const CHECKS: &[&str] = &[
    "generator",
    "versions",
    "completions",
    "systemd",
    "intents",
    "units",
    "names",
    "networkd",
    "foreign-rules",
    "network-files",
    "forwarding",
    "firewall",
    "addresses",
    "ports",
    "nsswitch",
    "inotify",
    "open-files",
    "processes",
    "user-namespaces",
    "id-mapping",
    "cgroups",
    "journal",
    "nix",
    "store",
    "nix-daemon",
    "sources",
    "records",
    "roots",
    "pins",
    "litter",
    "space",
];

fn generator(host: &Host) {
    const OWN: &str = "/etc/systemd/system-generators/nixos-nspawn-generator";
    const SHIPPED: &str = "/usr/local/lib/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!("mkdir -p /etc/systemd/system-generators; ln -s /dev/null {OWN}"));
    assert_found(&doctor(host, &[]), ["generator", "failure", "masks the generator", &format!("rm {OWN}")]);
    host.sh(&format!("ln -sf /nix/gone {OWN}"));
    assert_found(
        &doctor(host, &[]),
        ["generator", "failure", "is a link to something that is missing", &format!("namei -l {OWN}")],
    );
    host.sh(&format!("rm {OWN}; chmod 644 {SHIPPED}"));
    assert_found(&doctor(host, &[]), ["generator", "failure", "is not executable", "chmod 755"]);
    host.sh(&format!("chmod 755 {SHIPPED}; mv {SHIPPED} /root/kept"));
    assert_found(&doctor(host, &[]), ["generator", "failure", "is not installed", "nixos-nspawn setup"]);
    host.sh(&format!(
        "printf '#!/bin/sh\\necho nixos-nspawn-generator 0.0.1\\necho unit-helper /usr/local/libexec/nixos-nspawn/unit-helper\\n' \
         > {SHIPPED}; chmod 755 {SHIPPED}"
    ));
    assert_found(&doctor(host, &[]), ["versions", "warning", "is of version 0.0.1", "update the package"]);
    host.sh(&format!("mv /root/kept {SHIPPED}; mv /usr/local/libexec/nixos-nspawn/unit-helper /root/kept"));
    assert_found(
        &doctor(host, &[]),
        ["generator", "failure", "unit-helper: the unit helper", "install the package"],
    );
    host.sh("mv /root/kept /usr/local/libexec/nixos-nspawn/unit-helper");
    healthy(host);
}

/// What concerns intents, records, roots and sources.
pub(crate) fn records_cases() -> Vec<Case> {
    const NEXT_FIX: &str = "nixos-nspawn doctor --fix";
    vec![
        case(
            "echo '{' > /etc/nixos-nspawn/bad.json",
            "rm /etc/nixos-nspawn/bad.json",
            ["intents", "failure", "container 'bad' does not start", "nixos-nspawn verify"],
        ),
        case(
            "sed 's/\"name\": *\"web\"/\"name\":\"WEB\"/' /etc/nixos-nspawn/web.json > /etc/nixos-nspawn/WEB.json",
            "rm /etc/nixos-nspawn/WEB.json",
            ["names", "warning", "'WEB' and 'web' differ in upper and lower case", ""],
        ),
        // The two were not loaded.
        case(
            "",
            "systemctl daemon-reload",
            ["units", "warning", "has not loaded what is planned for", "daemon-reload"],
        ),
        case(
            "mkdir -p /etc/systemd/nspawn; echo '[Exec]' > /etc/systemd/nspawn/web.nspawn",
            "rm /etc/systemd/nspawn/web.nspawn",
            [
                "names",
                "failure",
                "would be used in place of our settings",
                "rm /etc/systemd/nspawn/web.nspawn",
            ],
        ),
        case(
            "mv /root/flake /root/gone",
            "mv /root/gone /root/flake",
            ["sources", "warning", "/root/flake: is missing", "nixos-nspawn update web --flake"],
        ),
        case(
            "echo '{}' > /etc/nixos-nspawn/.gone.creating; chmod 600 /etc/nixos-nspawn/.gone.creating",
            "rm /etc/nixos-nspawn/.gone.creating",
            ["records", "failure", "container 'gone' was left half created", NEXT_FIX],
        ),
        case(
            "mv /nix/var/nix/gcroots/nixos-nspawn/web /root/kept",
            "mv /root/kept /nix/var/nix/gcroots/nixos-nspawn/web",
            ["roots", "warning", "container 'web' has no root", NEXT_FIX],
        ),
        case(
            "ln -s /nix/store/x /nix/var/nix/gcroots/nixos-nspawn/nobody",
            "rm /nix/var/nix/gcroots/nixos-nspawn/nobody",
            ["roots", "note", "1 root of containers that are not recorded", "rm /nix"],
        ),
        case(
            "ln -s /nix/store/00000000000000000000000000000000-x /nix/var/nix/gcroots/nixos-nspawn/web-pin-9",
            "nixos-nspawn unpin web 9",
            ["pins", "warning", "generation 9 of container 'web'", "nixos-nspawn unpin web 9"],
        ),
        case(
            "touch /etc/nixos-nspawn/.web.json.new; mkdir -p /run/nixos-nspawn/devices/nobody",
            // unpin has removed them.
            "rm -f /etc/nixos-nspawn/.web.json.new; rm -rf /run/nixos-nspawn/devices/nobody",
            ["litter", "note", "2 files are left behind", NEXT_FIX],
        ),
        case(
            "mkdir -p '/var/lib/machines/.#nobody.removed'",
            "rm -rf '/var/lib/machines/.#nobody.removed'",
            ["litter", "note", ".#nobody.removed: is half deleted", ""],
        ),
    ]
}

/// What concerns the system.
fn system_cases() -> Vec<Case> {
    vec![
        case(
            "mkdir -p /usr/local/share/bash-completion/completions; \
             echo old > /usr/local/share/bash-completion/completions/nixos-nspawn",
            "rm /usr/local/share/bash-completion/completions/nixos-nspawn",
            ["completions", "note", "is of another version", "nixos-nspawn completions bash >"],
        ),
        case(
            "cp -a /etc/nixos-nspawn/host.json /root/host.json; \
             sed -i 's/\"systemd\": *[0-9]*/\"systemd\":260/' /etc/nixos-nspawn/host.json",
            "cp -a /root/host.json /etc/nixos-nspawn/host.json",
            ["systemd", "warning", "containers are planned for 260", "nixos-nspawn setup"],
        ),
        case(
            "echo 127.0.0.9 web >> /etc/hosts",
            "sed -i '/127.0.0.9/d' /etc/hosts",
            ["names", "note", "/etc/hosts: has an address for 'web'", ""],
        ),
        case(
            "cp -a /etc/nsswitch.conf /root/nsswitch.conf; sed -i 's/mymachines//' /etc/nsswitch.conf",
            "cp -a /root/nsswitch.conf /etc/nsswitch.conf",
            ["nsswitch", "warning", "'mymachines' is not in the line 'hosts:'", "put 'mymachines' before"],
        ),
        case(
            "mv /var/log/journal /var/log/kept",
            "mv /var/log/kept /var/log/journal",
            ["journal", "note", "/var/log/journal: is missing", "journalctl --flush"],
        ),
        case(
            "chown 1000 /nix/store",
            "chown 0 /nix/store",
            ["store", "warning", "/nix/store: belongs to user 1000", "multi-user"],
        ),
        case(
            "printf '#!/bin/sh\\necho nix \\(Nix\\) 2.3.16\\n' > /root/old-nix; chmod 755 /root/old-nix; \
             printf '[Nix]\\nCommand=/root/old-nix\\n' > /etc/nixos-nspawn.conf",
            "rm /etc/nixos-nspawn.conf",
            ["nix", "warning", "2.3.16 has no flakes", "update Nix"],
        ),
        case(
            "mkdir -p /nix/var/nix/daemon-socket; touch /nix/var/nix/daemon-socket/socket",
            "rm -r /nix/var/nix/daemon-socket",
            ["nix-daemon", "warning", "daemon-socket/socket: Connection refused", "nix-daemon.socket"],
        ),
        case(
            "git -C /root/flake init --quiet; chown -R 1000 /root/flake/.git",
            "rm -r /root/flake/.git",
            [
                "sources",
                "warning",
                "/root/flake: belongs to user 1000",
                "nixos-nspawn update web --flake /root/flake",
            ],
        ),
        case(
            "mkdir -p /srv/data/below; mount -t tmpfs tmpfs /srv/data/below",
            "umount /srv/data/below; rmdir /srv/data/below",
            ["id-mapping", "failure", "/srv/data/below is mounted below it", "set 'recursive'"],
        ),
        case(
            "mount -t proc proc /srv/odd",
            "umount /srv/odd",
            ["id-mapping", "warning", "/srv/odd: is on a file system of type proc", "noidmap"],
        ),
    ]
}

/// Limits, which the program alone sees as others.
fn limits(host: &Host) {
    let over = |path: &str, text: &str| format!("echo '{text}' > /run/limit; mount --bind /run/limit {path}");
    for (path, text, check, level, said) in [
        ("/proc/sys/fs/inotify/max_user_instances", "9", "inotify", "warning", "max_user_instances is 9"),
        ("/proc/sys/fs/inotify/max_user_watches", "99", "inotify", "warning", "max_user_watches is 99"),
        ("/proc/sys/fs/file-nr", "9000\t0\t10000", "open-files", "warning", "9000 files of at most 10000"),
        (
            "/proc/sys/fs/file-nr",
            "900\t0\t5119",
            "open-files",
            "warning",
            "with 1 container needs about 5120",
        ),
        ("/proc/sys/kernel/pid_max", "301", "processes", "warning", "threads of at most 301"),
        ("/proc/loadavg", "0.1 0.1 0.1 1/9999999 7", "processes", "warning", "there are 9999999 threads"),
        ("/proc/sys/user/max_user_namespaces", "0", "user-namespaces", "failure", "is 0, so 1 container"),
    ] {
        alone(host, &over(path, text), [check, level, said, ""]);
    }
    let limited = "jq '.container.memoryMax = \"500M\"' /etc/nixos-nspawn/web.json > /run/limited
        mount --bind /run/limited /etc/nixos-nspawn/web.json";
    let controllers = over("/sys/fs/cgroup/cgroup.controllers", "cpu pids");
    alone(host, &format!("{controllers}\n{limited}"), ["cgroups", "warning", "no controller 'memory'", ""]);
    alone(host, "mount -t tmpfs tmpfs /sys/fs/cgroup", ["cgroups", "failure", "is of type tmpfs", ""]);
}

/// A small file system in place of the containers' directory.
fn space(host: &Host) {
    let small = "mount -t tmpfs -o size=1m,nr_inodes=20 tmpfs /var/lib/machines";
    let full = "dd if=/dev/zero of=/var/lib/machines/x bs=64k status=none || true";
    alone(
        host,
        &format!("{small}; {full}"),
        ["space", "failure", "/var/lib/machines: only 0 B of 1.0 MiB", ""],
    );
    let many = "for n in $(seq 30); do touch /var/lib/machines/$n 2> /dev/null || true; done";
    alone(host, &format!("{small}; {many}"), ["space", "failure", "/var/lib/machines: 0 of 20 inodes", ""]);
    let read_only = "mount -t tmpfs -o ro tmpfs /var/lib/machines";
    alone(host, read_only, ["space", "warning", "/var/lib/machines: is read-only", "findmnt --target"]);
}

/// What a user cannot see is said, and is neither a failure nor an absence.
fn without_rights(host: &Host) {
    let words =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "nixos-nspawn", "doctor", "--json"];
    let output = host.run(&words);
    let all = found(&output.stdout);
    assert!(all.iter().all(|one| one.level != "failure" && one.level != "warning"), "{all:#?}");
    assert_found(
        &all,
        ["firewall", "note", "not checked: the rules of nftables: only root", "sudo nixos-nspawn doctor"],
    );
    assert_found(
        &all,
        ["sources", "note", "not checked: /root/flake: cannot be read", "sudo nixos-nspawn doctor"],
    );
    host.sh("chmod 700 /etc/nixos-nspawn");
    let all = found(&host.run(&words).stdout);
    host.sh("chmod 755 /etc/nixos-nspawn");
    for check in ["units", "names", "forwarding", "inotify", "nix-daemon", "roots"] {
        assert_found(
            &all,
            [check, "note", "not checked: /etc/nixos-nspawn: cannot be read", "sudo nixos-nspawn doctor"],
        );
        assert_eq!(of(&all, check).len(), 1, "{all:#?}");
    }
    let output = host.run(&[&words[..4], &["nixos-nspawn", "doctor", "--fix"]].concat());
    assert_eq!(output.code(), 10, "{output}");
}
