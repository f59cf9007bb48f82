//! `doctor` on real hosts: a healthy one has neither failures nor warnings, and what is broken is found by the check for
//! it. What does not affect each other is broken together. Limits of the kernel belong to the whole machine, so files are
//! mounted over them, on the throwaway host or for the program alone.

use nixos_nspawn_tests::host::{Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(files_and_programs, networks);

/// The result of a check.
#[derive(Debug)]
struct Found {
    check: String,
    level: String,
    text: String,
    next: String,
    fixed: Vec<String>,
}

/// What is broken, how it is mended, and what is to be found: check, level, and parts of the text and the next step.
struct Case {
    broken: &'static str,
    mended: &'static str,
    found: [&'static str; 4],
}

fn case(broken: &'static str, mended: &'static str, found: [&'static str; 4]) -> Case {
    Case { broken, mended, found }
}

fn found(output: &str) -> Vec<Found> {
    let answer: Value = serde_json::from_str(output).unwrap_or_else(|e| panic!("{e}: {output}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = |one: &Value| Found {
        check: text(&one["check"]),
        level: text(&one["level"]),
        text: text(&one["text"]),
        next: text(&one["next"]),
        fixed: one["fixed"].as_array().expect("a list").iter().map(text).collect(),
    };
    answer.as_array().expect("a list").iter().map(found).collect()
}

/// Runs `doctor --json` with these arguments and checks its exit status.
fn doctor(host: &Host, arguments: &[&str]) -> Vec<Found> {
    let output = host.ctl(&[&["doctor", "--json"], arguments].concat());
    let all = found(&output.stdout);
    let failed = all.iter().any(|one| one.level == "failure");
    assert_eq!(output.code(), i32::from(failed), "{output}");
    all
}

fn assert_found(all: &[Found], wanted: [&str; 4]) {
    assert!(is_found(all, wanted), "{wanted:?} is not in {:#?}", of(all, wanted[0]));
}

fn is_found(all: &[Found], [check, level, text, next]: [&str; 4]) -> bool {
    let is = |one: &&Found| one.level == level && one.text.contains(text) && one.next.contains(next);
    of(all, check).iter().any(is)
}

/// Returns what a check has found.
fn of<'a>(all: &'a [Found], check: &str) -> Vec<&'a Found> {
    all.iter().filter(|one| one.check == check).collect()
}

/// Fails unless all checks found that all is well, or worth a note at most.
fn healthy(host: &Host) -> Vec<Found> {
    let all = doctor(host, &[]);
    let bad: Vec<&Found> = all.iter().filter(|one| !["ok", "note"].contains(&one.level.as_str())).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    all
}

/// Breaks all of these, sees each of them found, and mends them.
fn together(host: &Host, cases: &[Case]) {
    let scripts = |of: fn(&Case) -> &str| cases.iter().map(of).collect::<Vec<_>>().join("\n");
    host.sh(&scripts(|case| case.broken));
    let all = doctor(host, &[]);
    let missed = cases.iter().filter(|case| !is_found(&all, case.found));
    let missed: Vec<_> = missed.map(|case| (case.found, of(&all, case.found[0]))).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    host.sh(&scripts(|case| case.mended));
}

/// Breaks something for the program alone, in mounts of its own.
fn alone(host: &Host, broken: &str, found_: [&str; 4]) {
    let script = format!("{broken}\nexec nixos-nspawn doctor --json");
    let output = host.run(&["unshare", "--mount", "sh", "-euc", &script]);
    assert_found(&found(&output.stdout), found_);
}

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
        ["generator", "failure", "unit-helper: the unit helper", "nixos-nspawn setup"],
    );
    host.sh("mv /root/kept /usr/local/libexec/nixos-nspawn/unit-helper");
    healthy(host);
}

/// What concerns intents, records, roots and sources.
fn records_cases() -> Vec<Case> {
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
            "ln -s /nix/store/none-x /nix/var/nix/gcroots/nixos-nspawn/web-pin-9",
            "rm /nix/var/nix/gcroots/nixos-nspawn/web-pin-9",
            ["pins", "warning", "generation 9 of container 'web'", "nixos-nspawn unpin web 9"],
        ),
        case(
            "touch /etc/nixos-nspawn/.web.json.new; mkdir -p /run/nixos-nspawn/devices/nobody",
            "rm /etc/nixos-nspawn/.web.json.new; rmdir /run/nixos-nspawn/devices/nobody",
            ["litter", "note", "2 files are left behind", NEXT_FIX],
        ),
        case(
            "mkdir -p '/var/lib/machines/.#nobody.removed'",
            "rmdir '/var/lib/machines/.#nobody.removed'",
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
        ("/proc/sys/fs/file-nr", "900\t0\t1000", "open-files", "warning", "900 files of at most 1000"),
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
}

/// What `--fix` repairs, in one run.
fn repairs(host: &Host) {
    for Case { broken, found, .. } in records_cases() {
        if ["roots", "litter", "records"].contains(&found[0]) && !broken.contains("nobody.removed") {
            host.sh(broken);
        }
    }
    host.sh("rm /nix/var/nix/gcroots/nixos-nspawn/nobody");
    host.sh("sed -i 's/\"systemd\": *[0-9]*/\"systemd\":260/' /etc/nixos-nspawn/host.json");
    let output = host.ctl(&["doctor", "--fix", "--json"]);
    assert!(output.success(), "{output}");
    assert!(output.stderr.contains("container 'gone' was left half created by a killed command"), "{output}");
    let all = found(&output.stdout);
    let fixed = |check: &str| {
        let of = all.iter().filter(|one| one.check == check);
        of.flat_map(|one| one.fixed.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(fixed("roots"), "made a root for container 'web'");
    assert_eq!(fixed("systemd"), format!("recorded that systemd {} runs", host.systemd()));
    assert!(fixed("litter").contains("removed /run/nixos-nspawn/devices/nobody"), "{all:#?}");
    assert!(
        !host.exists("/etc/nixos-nspawn/.web.json.new") && !host.exists("/etc/nixos-nspawn/.gone.creating")
    );
    let target = host.sh("readlink /nix/var/nix/gcroots/nixos-nspawn/web");
    assert_eq!(target.trim(), host.intent("web")["toplevel"].as_str().expect("a path"));
    healthy(host);
    // A plan that is not loaded.
    host.sh("cp -a /etc/nixos-nspawn/web.json /root/web.json
        jq '.container.environment = {A: \"b\"}' /root/web.json > /etc/nixos-nspawn/web.json");
    assert_found(
        &doctor(host, &[]),
        ["units", "warning", "planned for container 'web'", "systemctl daemon-reload"],
    );
    let output = host.ctl_ok(&["doctor", "--fix"]);
    assert!(output.stdout.contains("fixed: ran 'systemctl daemon-reload'"), "{output}");
    host.sh("cp -a /root/web.json /etc/nixos-nspawn/web.json; systemctl daemon-reload");
    healthy(host);
}

/// A copy that an older version's `setup` has made.
fn old_copy(host: &Host) {
    const OWN: &str = "/etc/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!(
        "mv /usr/local/lib/systemd/system-generators/nixos-nspawn-generator /usr/local/bin/
         nixos-nspawn setup
         cp /usr/local/bin/nixos-nspawn-generator /root/shipped
         printf x >> {OWN}"
    ));
    assert_found(&doctor(host, &[]), ["versions", "warning", "is another build", "nixos-nspawn setup"]);
    let output = host.ctl_ok(&["doctor", "--fix"]);
    assert!(output.stdout.contains(&format!("fixed: installed {OWN}")), "{output}");
    host.sh(&format!("cmp {OWN} /root/shipped"));
    healthy(host);
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
    let output = host.run(&[&words[..4], &["nixos-nspawn", "doctor", "--fix"]].concat());
    assert_eq!(output.code(), 10, "{output}");
}

fn networks(host: &Host) {
    host.install(bins());
    host.own(&json!({
        "web": {"container": {"forwardPorts": ["8080:80", "127.0.0.1:8081:80"]}},
    }));
    host.create("web");
    host.address("web");
    // It has had the time to get an address.
    let settle = || host.sh("touch -d '-1 min' /run/systemd/nspawn/web.nspawn");
    settle();
    host.wait_until("the forwards are there", || {
        host.sh("nft list map ip io.systemd.nat map_port_ipport").contains("8080")
    });
    healthy(host);

    together(host, &network_cases());
    healthy(host);
    host.sh("systemctl disable systemd-networkd 2> /dev/null");
    assert_found(
        &doctor(host, &[]),
        ["networkd", "warning", "does not start with the host", "systemctl enable"],
    );
    host.sh("systemctl enable systemd-networkd 2> /dev/null; systemctl stop systemd-networkd.socket systemd-networkd");
    let off = doctor(host, &[]);
    assert_found(
        &off,
        ["networkd", "warning", "is off, so nothing configures the network", "setup --networkd"],
    );
    host.sh("systemctl start systemd-networkd.socket systemd-networkd");
    host.wait_until("networkd has configured the link", || {
        host.sh("networkctl status ve-web --no-pager").contains("configured")
    });
    healthy(host);

    // No address, as behind a firewall.
    host.inside("web", &["ip", "addr", "flush", "dev", "host0"]);
    assert_found(
        &doctor(host, &[]),
        ["addresses", "warning", "container 'web' has got no IPv4 address", "networkctl status ve-web"],
    );
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.address("web");
    host.wait_until("the forwards are there", || {
        host.sh("nft list map ip io.systemd.nat map_port_ipport").contains("8080")
    });
    settle();
    healthy(host);

    // A firewall that flushes the rules of others.
    host.sh("nft flush ruleset");
    let gone = doctor(host, &[]);
    assert_found(
        &gone,
        ["ports", "warning", "port tcp/8080 is not forwarded", &format!("systemctl restart {}", unit("web"))],
    );
    assert_found(
        &gone,
        ["ports", "warning", "container 'web' is not masqueraded", "systemctl restart systemd-networkd"],
    );
    let fixed = host.ctl_ok(&["doctor", "--fix"]);
    assert!(fixed.stdout.contains("fixed: restarted systemd-networkd, which masquerades again"), "{fixed}");
    assert!(
        fixed.stdout.contains("port tcp/8080 is not forwarded") && !fixed.stdout.contains("not masqueraded"),
        "{fixed}"
    );
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.address("web");
    settle();

    // A socket that was closed.
    let socket = "nixos-nspawn-proxy@web-tcp-127.0.0.1-8081.socket";
    host.ok(&["systemctl", "stop", socket]);
    assert_found(&doctor(host, &[]), ["ports", "warning", "port tcp/127.0.0.1:8081 is not open", socket]);
    let fixed = host.ctl_ok(&["doctor", "--fix"]);
    assert!(fixed.stdout.contains("fixed: started the sockets of container 'web'"), "{fixed}");
    assert_eq!(host.page("http://127.0.0.1:8081/"), "Hello from web.\n");
}

/// What concerns the network, and leaves the container's link alone.
fn network_cases() -> Vec<Case> {
    vec![
        case(
            "ip rule add from 10.9.0.0/16 table 100 priority 5000",
            "ip rule del from 10.9.0.0/16 table 100 priority 5000 || true",
            [
                "foreign-rules",
                "warning",
                "deletes the 1 routing policy rule",
                "ManageForeignRoutingPolicyRules=no",
            ],
        ),
        case(
            "sed 's/\"name\": *\"web\"/\"name\":\"db\"/; s/808[01]/8099/g' /etc/nixos-nspawn/web.json > /etc/nixos-nspawn/db.json; \
             printf '[Match]\\nType=ether\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/10-all.network",
            "rm /etc/systemd/network/10-all.network /etc/nixos-nspawn/db.json",
            [
                "network-files",
                "warning",
                "/etc/systemd/network/10-all.network: is used for the interface of container 'db'",
                "limit [Match]",
            ],
        ),
        case(
            "sysctl -qw net.ipv4.ip_forward=0",
            "sysctl -qw net.ipv4.ip_forward=1",
            [
                "forwarding",
                "failure",
                "container 'web' cannot reach anything beyond the host",
                "sysctl -w net.ipv4.ip_forward=1",
            ],
        ),
        case(
            "nft 'table inet f { chain in { type filter hook input priority 0; policy drop; ct state established,related accept; iifname lo accept; }; }'",
            "nft delete table inet f",
            [
                "firewall",
                "warning",
                "chain in of table inet f drops requests for addresses (DHCP) from",
                "udp dport 67 accept",
            ],
        ),
        case(
            "nft 'table ip g { chain passed { type filter hook forward priority 0; policy accept; ct state established,related accept; reject; }; }'",
            "nft delete table ip g",
            [
                "firewall",
                "warning",
                "chain passed of table ip g drops what goes to the outside from",
                "iifname",
            ],
        ),
        case(
            "systemd-run --quiet --unit=squatter busybox httpd -f -p 0.0.0.0:8080 -h /root",
            "systemctl stop squatter",
            ["ports", "warning", "port tcp/8080 is also in use by", "stop that service"],
        ),
    ]
}
