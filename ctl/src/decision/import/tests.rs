use serde_json::{Value, json};

use super::Translation;
use super::conf::{Fault, parse};
use super::limits::limit;
use super::nixos_container::translate;
use crate::decision::overrides::over;

fn of(text: &str) -> Translation {
    translate(&parse(text).unwrap())
}

/// Returns what is set, without what every translation sets.
fn set(text: &str) -> Value {
    let translation = of(text);
    // What is translated must be options.
    over(&translation.layer(), &Default::default()).unwrap_or_else(|why| panic!("{text}: {why}"));
    let mut set = translation.options;
    if set.get("userNamespacing") == Some(&json!(false)) {
        set.remove("userNamespacing");
    }
    Value::Object(set)
}

#[test]
fn the_configuration_is_read_and_never_run() {
    let conf = parse("# comment\n\n  A=1\nB=\"x y\"\nC='$(z)'\nA=2\nD=\n").unwrap();
    let pairs: Vec<(&str, &str)> = conf.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(pairs, [("A", "2"), ("B", "x y"), ("C", "$(z)"), ("D", "")]);
    // As nixos-container writes it, without quotes.
    let flake = "git+https://example.org/~me/infra?ref=main&dir=x";
    assert_eq!(parse(&format!("FLAKE={flake}\n")).unwrap()["FLAKE"], flake);
    for (text, line, reason) in [
        ("FLAKE=\u{1b}[2J", 1, "contains the control character"),
        ("FLAKES=a?b", 1, "'?' outside quotes"),
        ("A=$(touch /tmp/x)", 1, "'$' is code"),
        ("\nA=\"`id`\"", 2, "'`' is code"),
        ("A=1; rm -rf /", 1, "';' outside quotes"),
        ("A=1 id", 1, "' ' outside quotes"),
        ("A=a\\", 1, "'\\' is code"),
        ("A=b|c", 1, "'|' outside quotes"),
        ("A=*", 1, "'*' outside quotes"),
        ("A=\"x", 1, "the quote \" is not closed"),
        ("rm -rf /", 1, "is not KEY=VALUE"),
        ("export A=1", 1, "'export A' is not the name"),
        ("1A=x", 1, "'1A' is not the name"),
        ("A=\u{1}", 1, "contains the control character"),
    ] {
        let Fault { line: found, reason: why } = parse(text).unwrap_err();
        assert_eq!(found, line, "{text}");
        assert!(why.starts_with(reason), "{text}: {why}");
    }
}

#[test]
fn the_network_is_translated() {
    let host = |near: &[&str], far: &[&str]| {
        let address: Vec<&str> = [""].iter().chain(near).copied().collect();
        let routes: Vec<Value> = far.iter().map(|far| json!({ "Destination": far })).collect();
        json!({ "address": address, "routes": routes, "networkConfig": { "DHCPServer": "no" } })
    };
    for (text, expected) in [
        ("", json!({ "network": "host" })),
        ("PRIVATE_NETWORK=0", json!({ "network": "host" })),
        ("PRIVATE_NETWORK=1", json!({ "network": "none" })),
        // As create writes it.
        (
            "PRIVATE_NETWORK=1\nHOST_ADDRESS=10.233.1.1\nLOCAL_ADDRESS=10.233.1.2\nHOST_BRIDGE=\nHOST_PORT=\nAUTO_START=0\n",
            json!({ "network": "private", "hostNetworkConfig": host(&["10.233.1.1/32"], &["10.233.1.2/32"]) }),
        ),
        (
            "HOST_ADDRESS6=fc00::1\nLOCAL_ADDRESS6=fc00::2/7",
            json!({ "network": "private", "hostNetworkConfig": host(&["fc00::1/128"], &["fc00::2/128"]) }),
        ),
        (
            "PRIVATE_NETWORK=1\nHOST_BRIDGE=br0\nLOCAL_ADDRESS=10.0.0.5/24",
            json!({ "network": "private", "bridge": "br0" }),
        ),
        (
            "PRIVATE_NETWORK=1\nHOST_BRIDGE=br0\nHOST_PORT=tcp:80:8080,udp:53:53",
            json!({ "network": "private", "bridge": "br0", "forwardPorts": ["tcp:80:8080", "udp:53:53"] }),
        ),
        ("MACVLANS=\"eno1 eno2\"", json!({ "network": "none", "macvlan": ["eno1", "eno2"] })),
        ("INTERFACES=\"eth1\"", json!({ "network": "none", "interfaces": ["eth1"] })),
        (
            "NETWORK_NAMESPACE_PATH=/run/netns/a",
            json!({ "network": "private", "namespacePath": "/run/netns/a" }),
        ),
        ("EXTRA_NSPAWN_FLAGS=--network-zone=z", json!({ "network": "private", "zone": "z" })),
        ("COPY_RESOLV_CONF=1", json!({ "network": "host", "resolvConf": "copy-host" })),
    ] {
        assert_eq!(set(text), expected, "{text}");
    }
}

#[test]
fn flags_are_translated() {
    for (flags, option, expected) in [
        // Read-only stays read-only.
        ("--bind-ro=/a:/b", "bindMounts", json!([{ "source": "/a", "destination": "/b", "readOnly": true }])),
        ("--bind-ro /a", "bindMounts", json!([{ "source": "/a", "destination": "/a", "readOnly": true }])),
        ("--bind=/a", "bindMounts", json!([{ "source": "/a", "destination": "/a" }])),
        (
            "--bind=/a:/b:norbind,idmap",
            "bindMounts",
            json!([{ "source": "/a", "destination": "/b", "recursive": false, "idmap": "idmap" }]),
        ),
        ("--tmpfs=/var:mode=755", "tmpfs", json!(["/var:mode=755"])),
        (
            "--capability=CAP_NET_ADMIN,CAP_SYS_NICE",
            "capabilities.add",
            json!(["CAP_NET_ADMIN", "CAP_SYS_NICE"]),
        ),
        ("--drop-capability=CAP_SYS_CHROOT", "capabilities.drop", json!(["CAP_SYS_CHROOT"])),
        ("--private-users=pick", "userNamespacing", json!(true)),
        ("--private-users=65536:65536", "nspawnConfig.Exec.PrivateUsers", json!("65536:65536")),
        ("--setenv=A=b", "environment.A", json!("b")),
        ("-E A=b", "environment.A", json!("b")),
        ("--property=MemoryMax=1G", "memoryMax", json!("1G")),
        ("--property=TasksMax=100", "tasksMax", json!(100)),
        ("--rlimit=RLIMIT_NOFILE=1024", "nspawnConfig.Exec.LimitNOFILE", json!("1024")),
        ("--hostname=db", "hostname", json!("db")),
        ("--oom-score-adjust=5", "oomScoreAdjust", json!(5)),
    ] {
        let set = set(&format!("EXTRA_NSPAWN_FLAGS=\" {flags}\""));
        assert_eq!(set[option], expected, "{flags}: {set}");
    }
}

#[test]
fn autostart_is_translated() {
    for (text, expected) in
        [("AUTO_START=1", true), ("AUTO_START=0", false), ("", false), ("AUTO_START=yes", false)]
    {
        assert_eq!(of(text).autostart, Some(expected), "{text}");
    }
}

#[test]
fn what_has_no_counterpart_is_listed() {
    for (text, expected) in [
        ("EXTRA_NSPAWN_FLAGS=\"--bind=+/a:/b\"", "--bind=+/a:/b: only paths of the host"),
        ("EXTRA_NSPAWN_FLAGS=\"--bind=/a:/b:frob\"", "--bind=/a:/b:frob: 'frob' is not an option"),
        ("EXTRA_NSPAWN_FLAGS=\"--frob=1\"", "--frob=1"),
        ("EXTRA_NSPAWN_FLAGS=\"--console=pipe\"", "--console=pipe"),
        ("EXTRA_NSPAWN_FLAGS=--property=Frob=1", "--property: Frob=1; set it"),
        ("HOST_PORT=80", "HOST_PORT has no effect without a private network"),
        ("PRIVATE_NETWORK=1\nHOST_PORT=80", "HOST_PORT has no effect without interfaces"),
        (
            "HOST_ADDRESS=10.0.0.1\nLOCAL_ADDRESS=10.0.0.2",
            "LOCAL_ADDRESS=10.0.0.2: the address of host0 is part of the system inside, with the gateway 10.0.0.1",
        ),
        ("LOCAL_MAC_ADDRESS=00:11:22:33:44:55", "LOCAL_MAC_ADDRESS=00:11:22:33:44:55: "),
        ("FLAKE=github:me/infra", "FLAKE=github:me/infra: "),
        (
            "SYSTEM_PATH=/nix/var/nix/profiles/x",
            "SYSTEM_PATH=/nix/var/nix/profiles/x is not a path in the store",
        ),
        ("FROB=1", "FROB=1"),
    ] {
        let missing = of(text).missing;
        assert!(missing.iter().any(|one| one.starts_with(expected)), "{text}: {missing:?}");
        set(text);
    }
    assert_eq!(of("EXTRA_NSPAWN_FLAGS=--link-journal=guest").missing, Vec::<String>::new());
}

#[test]
fn limits_of_the_unit_are_translated() {
    let mut to = Translation::default();
    for (key, value) in
        [("MemoryMax", "512M"), ("CPUWeight", "50"), ("DeviceAllow", "/dev/kvm rw"), ("Restart", "no")]
    {
        limit(key, value, "50-x.conf", &mut to);
    }
    let expected =
        json!({ "memoryMax": "512M", "cpuWeight": 50, "serviceConfig.DeviceAllow": ["/dev/kvm rw"] });
    assert_eq!(Value::Object(to.options.clone()), expected);
    over(&to.layer(), &Default::default()).unwrap();
    assert_eq!(to.missing, ["50-x.conf: Restart=no; set it for the container's new unit"]);
}
