//! The reach of a container into its host: what changes of options give, take and lift. Each case of a change that once
//! went unseen is a line here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

use nixos_nspawn_units::intent::{Container, parse};
use nixos_nspawn_units::reach::{Changes, HOST_ROOT, Reach, changes};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn container(options: &Value) -> Container {
    let intent = json!({
        "version": 1,
        "toplevel": "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05",
        "container": options,
    });
    let name = "web".parse().expect("a name");
    parse(intent.to_string().as_bytes(), &name).unwrap_or_else(|fault| panic!("{options}: {fault}")).container
}

fn between(old: &Value, new: &Value) -> Changes {
    changes(&container(old), &container(new))
}

/// The first widens to the second, with these words in what needs consent; the way back is seen as well.
fn widens(old: Value, new: Value, words: &str) {
    let there = between(&old, &new);
    assert!(there.adds(), "{old} -> {new}: unseen");
    let said = there.added().join("\n");
    assert!(said.contains(words), "{old} -> {new}: {said}");
    assert!(!between(&new, &old).is_empty(), "{new} -> {old}: unseen");
}

/// The first widens to the second, and the way back only takes away.
fn widens_only(old: Value, new: Value, words: &str) {
    widens(old.clone(), new.clone(), words);
    let back = between(&new, &old);
    assert!(back.only_takes_away(), "{new} -> {old}: {back:?}");
}

/// Nothing of the reach differs.
fn same(old: Value, new: Value) {
    assert_eq!(between(&old, &new), Changes::default(), "{old} -> {new}");
    assert_eq!(between(&new, &old), Changes::default(), "{new} -> {old}");
}

#[test]
fn networks() {
    widens_only(json!({"network": "none"}), json!({}), "can now: reach the host, and what the host forwards");
    widens_only(json!({"network": "none"}), json!({"network": "host"}), "can now: use the host's network");
    widens(json!({}), json!({"network": "host"}), "can now: use the host's network");
    widens(json!({}), json!({"bridge": "br0"}), "the host's bridge br0");
    widens(json!({"bridge": "br0"}), json!({}), "masquerading");
    widens(json!({"zone": "a"}), json!({"zone": "b"}), "zone b");
    widens_only(json!({}), json!({"macvlan": ["eth0"]}), "eth0 (macvlan)");
    widens_only(json!({}), json!({"ipvlan": ["eth0"]}), "eth0 (ipvlan)");
    widens_only(json!({}), json!({"interfaces": ["eth1"]}), "interface eth1 for itself");
    widens_only(json!({}), json!({"extraVeths": ["v1:inside"]}), "v1 added to the host");
    widens(json!({}), json!({"namespacePath": "/run/netns/a"}), "/run/netns/a");
    widens(
        json!({"nspawnConfig": {"Network": {"VirtualEthernet": false}}}),
        json!({}),
        "can now: reach the host",
    );
    same(json!({"macvlan": ["eth0:a"]}), json!({"macvlan": ["eth0:b"]}));
}

#[test]
fn the_hosts_end_of_the_cable() {
    let host = |config: Value| json!({"hostNetworkConfig": config});
    widens(
        host(json!({"routes": [{"Destination": "10.9.0.0/16", "Gateway": "10.66.0.2"}]})),
        host(json!({"routes": [{"Gateway": "10.66.0.2"}]})),
        "can now: have [Route] Gateway=10.66.0.2 on the host",
    );
    // The same lines in other sections are other routes.
    widens(
        host(
            json!({"routes": [{"Destination": "10.1.0.0/16", "Metric": 1}, {"Gateway": "10.66.0.2", "Metric": 2}]}),
        ),
        host(
            json!({"routes": [{"Destination": "10.1.0.0/16", "Metric": 2}, {"Gateway": "10.66.0.2", "Metric": 1}]}),
        ),
        "can now: have [Route] ",
    );
    widens_only(
        host(json!({"address": ["10.0.0.1/24"]})),
        host(json!({"address": ["10.0.0.1/24", "10.0.1.1/24"]})),
        "Address=10.0.1.1/24",
    );
    widens(
        host(json!({"networkConfig": {"IPMasquerade": "no"}})),
        host(json!({"networkConfig": {"LLDP": "no"}})),
        "IPMasquerade=no (hostNetworkConfig) is not set any more",
    );
    widens(
        host(json!({"networkConfig": {"DHCP": "no"}, "DHCP": "ipv4"})),
        host(json!({"networkConfig": {"DHCP": "no"}, "DHCP": "ipv6"})),
        "ipv6",
    );
    widens(
        host(json!({"networkConfig": {"DHCP": "no"}, "DHCP": "ipv4"})),
        host(json!({"networkConfig": {"DHCP": "no"}})),
        "DHCP",
    );
    widens(
        host(json!({"routingPolicyRules": [{"From": "10.0.0.0/8", "Table": 7}]})),
        host(json!({"address": "10.0.0.1/24"})),
        "[RoutingPolicyRule] From=10.0.0.0/8 Table=7 (hostNetworkConfig) is not set any more",
    );
    widens(
        host(
            json!({"routes": [{"Destination": "10.0.0.0/8", "Type": "blackhole"}], "address": "10.0.0.1/24"}),
        ),
        host(json!({"address": "10.0.0.1/24"})),
        "Type=blackhole (hostNetworkConfig) is not set any more",
    );
    widens(
        host(json!({"matchConfig": {"Host": "a"}})),
        host(json!({"linkConfig": {"Unmanaged": "no"}})),
        "[Match] Host=a",
    );
    widens(host(json!({"address": "10.0.0.1/24"})), json!({}), "masquerading");
    widens(json!({}), host(json!({"extraConfig": "[NextHop]\nId=1\n"})), "[NextHop] Id=1");
    same(json!({}), host(json!({})));
}

#[test]
fn ports() {
    let port = |port: Value| json!({"forwardPorts": [port]});
    widens_only(json!({}), port(json!("80")), "take host port tcp/80 (forwardPorts)");
    widens_only(port(json!("127.0.0.1:80:80")), port(json!("80")), "tcp/80");
    widens_only(port(json!("127.0.0.1:80:80")), port(json!("0.0.0.0:80:80")), "tcp/0.0.0.0:80");
    widens(port(json!("127.0.0.1:80:80")), port(json!("[::1]:80:80")), "tcp/[::1]:80");
    widens(port(json!("80")), port(json!("udp:80")), "udp/80");
    widens_only(
        port(json!({"hostPort": 80, "hostAddress": "127.0.0.1"})),
        port(json!({"hostPort": 80, "hostAddress": "127.0.0.1", "startOnConnect": true})),
        "started by a connection",
    );
    same(port(json!("80:81")), port(json!("80:82")));
}

#[test]
fn binds() {
    let bind = |bind: Value| json!({"bindMounts": [bind]});
    let mapped = |bind: Value| json!({"userNamespacing": true, "bindMounts": [bind]});
    widens_only(json!({}), bind(json!("/srv/a")), "can now: write /srv/a");
    widens_only(bind(json!({"source": "/srv/a", "readOnly": true})), bind(json!("/srv/a")), "write /srv/a");
    widens_only(
        bind(json!({"source": "/srv/a", "recursive": false})),
        bind(json!({"source": "/srv/a"})),
        "write /srv/a as the host's root (bindMounts)",
    );
    widens_only(bind(json!("/srv/a:/a:norbind")), bind(json!("/srv/a:/a:rbind")), "write /srv/a");
    widens_only(
        mapped(json!("/srv/strs:/strs")),
        mapped(json!("/srv/strs:/strs:rootidmap")),
        "as the owner of the source",
    );
    widens_only(
        mapped(json!("/srv/strs:/strs:noidmap")),
        mapped(json!("/srv/strs:/strs:idmap")),
        "each owner keeping its number",
    );
    widens(mapped(json!("/srv/strs:/strs:rootidmap")), mapped(json!("/srv/strs:/strs:idmap")), "each owner");
    widens(
        mapped(json!({"source": "/s", "idmap": "noidmap"})),
        mapped(json!({"source": "/s"})),
        "each owner",
    );
    widens(bind(json!("/srv/a:/x")), bind(json!("/srv/b:/x")), "write /srv/b");
    // What covers a part of another one keeps it out of reach.
    widens(
        json!({"bindMounts": ["/srv:/srv"], "tmpfs": ["/srv/secret"]}),
        json!({"bindMounts": ["/srv:/srv"]}),
        "no longer restricted: may write /srv/secret, which another mount covers",
    );
    widens(
        json!({"bindMounts": ["/srv:/data", {"source": "/srv/ro", "destination": "/data/ro", "readOnly": true}]}),
        json!({"bindMounts": ["/srv:/data"]}),
        "may write /srv/ro, which another mount covers",
    );
    let both = json!({"bindMounts": ["/srv:/srv", "+/empty:/srv/secret"]});
    assert!(between(&both, &json!({})).only_takes_away());
    same(bind(json!("/srv/a:/x")), bind(json!("/srv/a:/y")));
    same(bind(json!("/srv/a")), bind(json!({"source": "/srv/a"})));
    same(bind(json!("+/a:/b")), json!({}));
}

#[test]
fn users() {
    widens(json!({"userNamespacing": true}), json!({}), "no longer restricted: may act as the host's root");
    widens(
        json!({"userNamespacing": true}),
        json!({"userNamespacing": true, "nspawnConfig": {"Exec": {"PrivateUsers": "no"}}}),
        "may act as the host's root",
    );
    let with_bind = |inside: bool| json!({"userNamespacing": inside, "bindMounts": ["/srv/a"]});
    assert!(between(&with_bind(false), &with_bind(true)).only_takes_away());
}

#[test]
fn what_keeps_it_from_something() {
    let restrictions = [
        (json!({"capabilities": {"drop": ["CAP_MKNOD"]}}), "use CAP_MKNOD"),
        (json!({"systemCallFilter": "~keyctl"}), "make system call keyctl"),
        (json!({"inaccessiblePaths": ["/srv/x"]}), "see /srv/x"),
        (json!({"ephemeral": true}), "keep what it writes"),
        (json!({"serviceConfig": {"IPAddressDeny": "any"}}), "go beyond IPAddressDeny=any (serviceConfig)"),
        (
            json!({"nspawnConfig": {"Exec": {"DropCapability": "CAP_CHOWN"}}}),
            "go beyond DropCapability=CAP_CHOWN",
        ),
        (json!({"nspawnConfig": {"Exec": {"SystemCallFilter": "~bpf"}}}), "go beyond SystemCallFilter=~bpf"),
        (json!({"nspawnConfig": {"Exec": {"NoNewPrivileges": "yes"}}}), "go beyond NoNewPrivileges=yes"),
        (json!({"nspawnConfig": {"Files": {"Inaccessible": "/x"}}}), "go beyond Inaccessible=/x"),
        (json!({"nspawnConfig": {"Files": {"ReadOnly": true}}}), "go beyond ReadOnly=yes"),
    ];
    for (options, words) in restrictions {
        widens_only(options, json!({}), &format!("no longer restricted: may {words}"));
    }
    widens_only(
        json!({"capabilities": {"drop": ["all"]}}),
        json!({"capabilities": {"drop": ["CAP_MKNOD"]}}),
        "may use all",
    );
    widens_only(json!({"systemCallFilter": "~bpf keyctl"}), json!({"systemCallFilter": "~bpf"}), "keyctl");
    widens_only(
        json!({"systemCallFilter": "~bpf"}),
        json!({"systemCallFilter": "bpf"}),
        "can now: make system call bpf",
    );
    // Nobody knows what these do together with what is set otherwise.
    for key in [
        "DevicePolicy",
        "DeviceAllow",
        "IPAddressAllow",
        "MemorySwapMax",
        "ExecStartPre",
        "RestrictAddressFamilies",
    ] {
        let options = json!({"serviceConfig": {key: "x"}});
        widens(options.clone(), json!({}), &format!("{key}=x (serviceConfig) is not set any more"));
        widens(json!({}), options, &format!("can now: have {key}=x (serviceConfig)"));
    }
}

#[test]
fn order_and_grouping_of_free_values() {
    widens(
        json!({"serviceConfig": {"ExecStartPre": ["-/bin/echo /root/evil.sh"]}}),
        json!({"serviceConfig": {"ExecStartPre": ["-/bin/echo", "/root/evil.sh"]}}),
        r#"have ExecStartPre=["-/bin/echo","/root/evil.sh"] (serviceConfig)"#,
    );
    widens(
        json!({"serviceConfig": {"ExecStartPre": ["/a", "/b"]}}),
        json!({"serviceConfig": {"ExecStartPre": ["/b", "/a"]}}),
        r#"["/b","/a"]"#,
    );
    // One value that looks like two.
    let [one, two] = [json!({"unitConfig": {"X": r#"["a","b"]"#}}), json!({"unitConfig": {"X": ["a", "b"]}})];
    let texts = [&one, &two].map(|options| Reach::of(&container(options)).lines());
    assert_ne!(texts[0], texts[1]);
    widens(one, two, "have X=");
}

#[test]
fn limits() {
    for (option, less, more) in [
        ("memoryMax", json!("1G"), json!("2G")),
        ("memoryMax", json!("1G"), Value::Null),
        ("memoryMax", json!("10%"), json!("20%")),
        ("memoryMax", json!(1000), json!("1K")),
        ("memoryMax", json!("1G"), json!("infinity")),
        ("memoryHigh", json!("1G"), Value::Null),
        ("cpuQuota", json!("50%"), json!("150%")),
        ("cpuQuota", json!("50%"), Value::Null),
        ("cpuWeight", json!("idle"), json!(1)),
        ("cpuWeight", json!(50), Value::Null),
        ("cpuWeight", Value::Null, json!(101)),
        ("ioWeight", Value::Null, json!(101)),
        ("tasksMax", Value::Null, json!(16385)),
        ("tasksMax", json!(100), json!("infinity")),
        ("oomScoreAdjust", Value::Null, json!(-1)),
        ("oomScoreAdjust", json!(500), json!(-500)),
        ("rlimits", json!({"NOFILE": "1:2"}), json!({"NOFILE": "1:3"})),
        ("rlimits", json!({"NICE": "+5"}), json!({"NICE": "-5"})),
        ("rlimits", json!({"CORE": 0}), json!({"CORE": "infinity"})),
        ("tmpfs", json!([]), json!(["/x:size=1m"])),
        ("tmpfs", json!(["/x:size=1m"]), json!(["/x:size=2M,mode=0700"])),
    ] {
        widens_only(json!({option: less}), json!({option: more}), "may take more of the host: ");
    }
    // Which one is more is not known: each way counts.
    for (option, one, other) in [
        ("memoryMax", json!("10%"), json!("1G")),
        ("rlimits", json!({}), json!({"NOFILE": 1024})),
        ("tmpfs", json!(["/x:size=1m"]), json!(["/x"])),
    ] {
        widens(json!({option: one}), json!({option: other}), "may take more of the host: ");
        widens(json!({option: other}), json!({option: one}), "may take more of the host: ");
    }
    // The free-form value wins.
    widens_only(
        json!({"memoryMax": "1G"}),
        json!({"memoryMax": "1G", "serviceConfig": {"MemoryMax": "infinity"}}),
        "MemoryMax=infinity (serviceConfig), was MemoryMax=1G (memoryMax)",
    );
    same(json!({"memoryMax": "1024K"}), json!({"memoryMax": "1M"}));
    same(json!({"memoryMax": "infinity"}), json!({}));
    same(json!({"cpuWeight": 100, "tasksMax": 16384}), json!({}));
}

#[test]
fn further_capabilities() {
    widens_only(json!({"devices": ["/dev/a:r"]}), json!({"devices": ["/dev/a:rw"]}), "/dev/a with rw");
    widens_only(json!({}), json!({"tun": true}), "/dev/net/tun");
    widens_only(json!({}), json!({"fuse": true}), "/dev/fuse");
    widens_only(json!({}), json!({"kernelLog": true}), "kernel log");
    widens_only(json!({}), json!({"mountDaemonSocket": true}), "Nix daemon");
    widens_only(json!({}), json!({"capabilities": {"add": ["CAP_BPF"]}}), "use CAP_BPF, which nspawn denies");
    widens_only(
        json!({"capabilities": {"add": ["CAP_BPF"]}}),
        json!({"capabilities": {"add": ["all"]}}),
        "use all",
    );
    widens_only(json!({}), json!({"requires": ["db"]}), "systemd-nspawn@db.service started (requires)");
    widens_only(json!({}), json!({"wants": ["sshd.service"]}), "sshd.service started (wants)");
    widens_only(json!({}), json!({"activation": {"reloadScript": "/root/x"}}), "/root/x run on the host");
    widens_only(
        json!({}),
        json!({"credentials": [{"id": "a", "path": "/root/key"}]}),
        "read /root/key as credential a",
    );
    widens(
        json!({"credentials": [{"id": "a", "path": "/root/key"}]}),
        json!({"credentials": [{"id": "a", "path": "/root/key", "encrypted": true}]}),
        "decrypted by the host",
    );
}

#[test]
fn lines_for_people() {
    let reach = |options: Value| Reach::of(&container(&options)).lines();
    let lines = reach(
        json!({"network": "none", "bindMounts": [{"source": "/srv/a", "readOnly": true}], "memoryMax": "1G", "inaccessiblePaths": ["/x"], "unitConfig": {"StartLimitBurst": 1}}),
    );
    assert_eq!(
        lines,
        [
            HOST_ROOT,
            "can read /srv/a as the host's root, which can make it writable (bindMounts)",
            "cannot see /x (inaccessiblePaths)",
            "is limited to MemoryMax=1G (memoryMax)",
            "has StartLimitBurst=1 (unitConfig)",
        ]
    );
    let lines = reach(json!({"network": "none", "userNamespacing": true}));
    assert_eq!(lines, ["cannot act as the host's root (userNamespacing)"]);
}

#[test]
fn tokens_stand_for_what_is_added() {
    let key = [7; 16];
    let token = |old: Value, new: Value| between(&old, &new).token(&key);
    let [one, two] = [json!({"tun": true}), json!({"tun": true, "fuse": true})];
    let first = token(json!({}), one.clone()).expect("a token");
    assert_eq!(first.len(), 16);
    // What is taken away meanwhile is none of it.
    assert_eq!(token(json!({"kernelLog": true}), one.clone()), Some(first.clone()));
    assert_ne!(token(json!({}), two.clone()), Some(first.clone()));
    assert_eq!(token(one, json!({})), None);
    assert_ne!(between(&json!({}), &json!({"tun": true})).token(&[8; 16]), Some(first));
    // Not the order in which it is written.
    assert_eq!(
        token(json!({}), json!({"bindMounts": ["/a", "/b"]})),
        token(json!({}), json!({"bindMounts": ["/b", "/a"]}))
    );
}
