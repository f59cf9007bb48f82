//! Changes of every option, and what they are for the reach into the host.

use serde_json::{Value, json};

use super::free;

/// What a change from the first value to the second is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// It widens the reach, and the way back only takes away.
    More,
    /// Each way gives something that the other does not have, or it is not known which one is more.
    Either,
    /// The reach is the same.
    Same,
}
pub(super) use Is::{Either, More, Same};

/// A change of an option: what it is, and the value before and after; null is the default.
pub(super) type Case = (&'static str, Is, Value, Value);

/// Returns the cases of each option.
pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |option: &'static str, is: Is, pairs: Value| {
        for pair in pairs.as_array().expect("pairs") {
            cases.push((option, is, pair[0].clone(), pair[1].clone()));
        }
    };
    add("activation.autoStart", Same, json!([[null, false], [false, true]]));
    add("activation.buildTimeout", Same, json!([[null, "5min"], ["5min", "1h"]]));
    add("activation.snapshot", Same, json!([[null, true]]));
    add("activation.check", Same, json!([[null, "true"], ["true", "curl x"]]));
    add("activation.reloadScript", More, json!([[null, "/x"]]));
    add("activation.reloadScript", Either, json!([["/x", "/y"]]));
    add("activation.settleSec", Same, json!([[null, "1s"], ["1s", "2s"]]));
    add("activation.timeout", Same, json!([[null, "1s"], ["1s", "2s"]]));
    add("after", Same, json!([[null, ["db"]], [["db"], ["db", "a.mount"]]]));
    add(
        "bindMounts",
        More,
        json!([
            [null, ["/srv/a"]], [["/srv/a"], ["/srv/a", "/srv/b"]], [["/srv/a:/srv/a:norbind"], ["/srv/a"]],
            [[{"source": "/srv/a", "readOnly": true}], [{"source": "/srv/a", "readOnly": false}]],
            [[{"source": "/srv/a", "recursive": false}], [{"source": "/srv/a", "recursive": true}]],
            [["/srv", {"source": "/srv/no", "destination": "/srv/x", "readOnly": true}], ["/srv", {"source": "/srv/no", "destination": "/y", "readOnly": true}]],
        ]),
    );
    add(
        "bindMounts",
        Either,
        json!([
            [["/srv/a"], ["/srv/b"]], [[{"source": "/srv/a", "destination": "/x"}], [{"source": "/srv/b", "destination": "/x"}]],
        ]),
    );
    add(
        "bindMounts",
        Same,
        json!([
            [[{"source": "/srv/a", "destination": "/x"}], [{"source": "/srv/a", "destination": "/y"}]],
            [["/srv/a"], [{"source": "/srv/a"}]], [null, ["+/own:/other"]], [null, [":/temporary"]],
        ]),
    );
    for how in ["idmap", "rootidmap", "owneridmap"] {
        add(
            "bindMounts",
            More,
            json!([[[{"source": "/a", "idmap": "noidmap"}], [{"source": "/a", "idmap": how}]]]),
        );
    }
    add(
        "bindMounts",
        Either,
        json!([[[{"source": "/a", "idmap": "rootidmap"}], [{"source": "/a", "idmap": "idmap"}]]]),
    );
    add("bridge", Either, json!([[null, "br0"], ["br0", "br1"]]));
    add(
        "capabilities.add",
        More,
        json!([[null, ["CAP_BPF"]], [["CAP_BPF"], ["all"]], [["CAP_BPF"], ["CAP_BPF", "CAP_NET_ADMIN"]]]),
    );
    add("capabilities.add", Either, json!([[["CAP_BPF"], ["CAP_SYSLOG"]]]));
    add(
        "capabilities.drop",
        More,
        json!([[["CAP_MKNOD"], null], [["all"], ["CAP_MKNOD"]], [["CAP_MKNOD", "CAP_KILL"], ["CAP_KILL"]]]),
    );
    add("capabilities.drop", Either, json!([[["CAP_MKNOD"], ["CAP_KILL"]]]));
    add("containerNetworkConfig", Same, json!([[null, {"a": 1}], [{"a": 1}, {"a": 2}]]));
    add("cpuQuota", More, json!([["50%", "150%"], ["50%", null]]));
    add("cpuWeight", More, json!([["idle", 1], [50, null], [null, 101], [50, 60]]));
    add("credentials", More, json!([[null, [{"id": "a"}]], [[{"id": "a"}], [{"id": "a"}, {"id": "b"}]]]));
    add(
        "credentials",
        Either,
        json!([
            [[{"id": "a"}], [{"id": "b"}]], [[{"id": "a", "path": "/x"}], [{"id": "a", "path": "/y"}]],
            [[{"id": "a", "path": "/x"}], [{"id": "a", "path": "/x", "encrypted": true}]],
        ]),
    );
    add("declarative", Same, json!([[null, true]]));
    add(
        "devices",
        More,
        json!([
            [null, ["/dev/x"]], [["/dev/x:r"], ["/dev/x:rw"]],
            [[{"path": "/dev/x", "permissions": "r"}], [{"path": "/dev/x", "permissions": "rwm"}]],
        ]),
    );
    add(
        "devices",
        Either,
        json!([[["/dev/x:r"], ["/dev/x:w"]], [[{"path": "/dev/x"}], [{"path": "/dev/y"}]]]),
    );
    add("environment", Same, json!([[null, {"A": "b"}], [{"A": "b"}, {"A": "c"}]]));
    add("ephemeral", More, json!([[true, null]]));
    add("extraVeths", More, json!([[null, ["eth7"]]]));
    add("extraVeths", Either, json!([[["eth7"], ["eth8"]]]));
    add("extraVeths", Same, json!([[["eth7:a"], ["eth7:b"]]]));
    add(
        "forwardPorts",
        More,
        json!([
            [null, ["80"]], [["127.0.0.1:80:80"], ["80"]], [["127.0.0.1:80:80"], ["0.0.0.0:80:80"]], [["0.0.0.0:80:80"], ["80"]],
            [[{"hostPort": 80, "hostAddress": "127.0.0.1"}], [{"hostPort": 80, "hostAddress": null}]],
            [[{"hostPort": 80, "startOnConnect": false}], [{"hostPort": 80, "startOnConnect": true}]],
        ]),
    );
    add(
        "forwardPorts",
        Either,
        json!([
            [["80"], ["81"]], [["80"], ["udp:80"]], [["[::]:80:80"], ["0.0.0.0:80:80"]], [[{"hostPort": 80}], [{"hostPort": 81}]],
            [[{"hostPort": 80, "protocol": "tcp"}], [{"hostPort": 80, "protocol": "udp"}]],
        ]),
    );
    add(
        "forwardPorts",
        Same,
        json!([
            [["80:81"], ["80:82"]], [[{"hostPort": 80, "containerPort": 1}], [{"hostPort": 80, "containerPort": 2}]],
        ]),
    );
    add("fuse", More, json!([[null, true]]));
    add(
        "hostNetworkConfig",
        More,
        json!([
            [{"address": "10.0.0.1/24"}, {"address": ["10.0.0.1/24", "10.0.1.1/24"]}],
            [{"address": "10.0.0.1/24"}, {"address": "10.0.0.1/24", "routes": [{"Gateway": "10.0.0.2"}]}],
        ]),
    );
    add(
        "hostNetworkConfig",
        Either,
        json!([
            [null, {"address": "10.0.0.1/24"}], [{"address": "10.0.0.1/24"}, {"address": "10.0.1.1/24"}],
            [{"routes": [{"Destination": "10.9.0.0/16", "Gateway": "10.66.0.2"}]}, {"routes": [{"Gateway": "10.66.0.2"}]}],
            [{"networkConfig": {"IPMasquerade": "no"}}, {"networkConfig": {"IPMasquerade": "both"}}],
            [{"address": "10.0.0.1/24", "networkConfig": {"DHCPServer": "no"}}, {"address": "10.0.0.1/24"}],
            [{"address": "10.0.0.1/24"}, {"address": "10.0.0.1/24", "linkConfig": {"MTUBytes": 1400}}],
            [{"address": "10.0.0.1/24"}, {"address": "10.0.0.1/24", "matchConfig": {"Host": "x"}}],
            [{"address": "10.0.0.1/24"}, {"address": "10.0.0.1/24", "routingPolicyRules": [{"From": "10.0.0.0/8", "Table": 7}]}],
        ]),
    );
    add("hostname", Same, json!([[null, "x"], ["x", "y"]]));
    add("inaccessiblePaths", More, json!([[["/x"], null], [["/x", "/y"], ["/x"]]]));
    add("inaccessiblePaths", Either, json!([[["/x"], ["/y"]]]));
    add("interfaces", More, json!([[null, ["eth7"]]]));
    add("interfaces", Either, json!([[["eth7"], ["eth8"]]]));
    add("ioWeight", More, json!([[null, 101], [50, null], [50, 60]]));
    add("ipvlan", More, json!([[null, ["eth7"]]]));
    add("ipvlan", Either, json!([[["eth7"], ["eth8"]]]));
    add("kernelLog", More, json!([[null, true]]));
    add("macvlan", More, json!([[null, ["eth7"]]]));
    add("macvlan", Either, json!([[["eth7"], ["eth8"]]]));
    for option in ["memoryHigh", "memoryMax"] {
        add(
            option,
            More,
            json!([["1G", "2G"], ["1G", null], ["10%", "20%"], [1000, "1K"], ["1G", "infinity"]]),
        );
        add(option, Either, json!([["10%", "1G"]]));
        add(option, Same, json!([["1024K", "1M"], ["infinity", null]]));
    }
    add("mountDaemonSocket", More, json!([[null, true]]));
    add("namespacePath", Either, json!([[null, "/run/netns/x"], ["/run/netns/x", "/run/netns/y"]]));
    add("network", More, json!([["none", null], ["none", "host"], ["none", "private"]]));
    add("network", More, json!([[null, "host"]]));
    add("network", Same, json!([[null, "private"]]));
    add("oomScoreAdjust", More, json!([[null, -1], [500, -500], [1, null]]));
    add("requires", More, json!([[null, ["db"]], [["db"], ["db", "sshd.service"]]]));
    add("requires", Either, json!([[["db"], ["other"]]]));
    add(
        "rlimits",
        More,
        json!([
            [{"NOFILE": "1:2"}, {"NOFILE": "1:3"}], [{"NOFILE": "1:2"}, {"NOFILE": "2:2"}], [{"CORE": 0}, {"CORE": "infinity"}],
            [{"NICE": "+5"}, {"NICE": "-5"}],
        ]),
    );
    add("rlimits", Either, json!([[null, {"NOFILE": 1024}]]));
    add("sharedNix", Same, json!([[null, true]]));
    add(
        "systemCallFilter",
        More,
        json!([
            [null, "bpf"],
            ["~bpf", null],
            ["~bpf keyctl", "~bpf"],
            ["~bpf", "bpf"],
            ["bpf", "bpf keyctl"]
        ]),
    );
    add("systemCallFilter", Either, json!([["bpf", "keyctl"], ["~bpf", "~keyctl"]]));
    add("tasksMax", More, json!([[null, 16385], [100, "infinity"], [100, 200]]));
    add("timeoutStartSec", Same, json!([[null, "5min"], ["5min", "infinity"]]));
    add("tmpfs", More, json!([[null, ["/x:size=1m"]], [["/x:size=1m"], ["/x:size=2M,mode=0700"]]]));
    add("tmpfs", Either, json!([[["/x:size=1m"], ["/x"]]]));
    add("tun", More, json!([[null, true]]));
    add("userNamespacing", More, json!([[true, null]]));
    add("wants", More, json!([[null, ["db"]], [["db"], ["db", "sshd.service"]]]));
    add("wants", Either, json!([[["db"], ["other"]]]));
    add("zone", Either, json!([[null, "x"], ["x", "y"]]));
    let choices = |schema: &str| choices(&nixos_nspawn_units::schema()["$defs"][schema]);
    for (option, schema) in [
        ("activation.expect", "Expect"),
        ("activation.strategy", "Strategy"),
        ("resolvConf", "ResolvConf"),
        ("timezone", "Timezone"),
    ] {
        for choice in choices(schema) {
            let mounts = choice.as_str().is_some_and(|word| word.starts_with("bind"));
            add(option, if mounts { More } else { Same }, json!([[null, choice]]));
        }
    }
    add("resolvConf", Either, json!([["bind-host", "bind-stub"]]));
    free::add_cases(&mut add);
    cases
}

/// Returns the values of a choice in the schema.
pub(super) fn choices(schema: &Value) -> Vec<Value> {
    let constants = schema["oneOf"].as_array().into_iter().flatten().map(|one| one["const"].clone());
    schema["enum"].as_array().cloned().unwrap_or_else(|| constants.collect())
}
