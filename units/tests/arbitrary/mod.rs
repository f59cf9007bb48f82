//! Intents for property tests: JSON that an administrator might write, from the ordinary to the hostile, most of it
//! valid. The result is JSON; the types decide whether it is an intent.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// A store path.
pub(crate) const TOPLEVEL: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05";

/// Characters that have a meaning somewhere on the way, and some that have none.
fn hostile_char() -> impl Strategy<Value = char> {
    prop_oneof![
        4 => proptest::char::range('a', 'z'),
        3 => select(" %$\\\"'#;:,=[]{}()*?!|&<>~`^@+-._/0".chars().collect::<Vec<_>>()),
        1 => select("éß日本😀\u{a0}\u{2028}\u{feff}\u{300}".chars().collect::<Vec<_>>()),
    ]
}

fn hostile(length: usize) -> impl Strategy<Value = String> {
    vec(hostile_char(), 1..length).prop_map(String::from_iter)
}

/// An absolute path.
fn path() -> impl Strategy<Value = String> {
    vec(hostile(8).prop_map(|part| part.replace('/', "x")), 1..4)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

/// A path that PID 1 can pass on.
fn plain_path() -> impl Strategy<Value = String> {
    path().prop_map(|path| path.replace([' ', '\\'], "x"))
}

fn bind_mount() -> impl Strategy<Value = String> {
    let escaped = || path().prop_map(|path| path.replace('\\', "\\\\").replace(':', "\\:"));
    let source = prop_oneof![8 => escaped(), 1 => escaped().prop_map(|path| format!("+{path}")), 1 => Just(String::new())];
    let options = subsequence(vec!["rbind", "norbind", "idmap", "noidmap", "rootidmap", "owneridmap"], 0..2);
    (source, weighted(0.8, escaped()), options).prop_map(|(source, destination, options)| {
        let destination = destination.or(source.is_empty().then(|| "/x".to_owned()));
        match (destination, options.is_empty()) {
            (None, _) => source,
            (Some(destination), true) => format!("{source}:{destination}"),
            (Some(destination), false) => format!("{source}:{destination}:{}", options.join(",")),
        }
    })
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9._-]{1,12}".boxed(), "[!#%&(-.0-9;-\\[\\]-~]{1,20}".boxed()]
}

fn free_value() -> impl Strategy<Value = Value> {
    let scalar = || {
        prop_oneof![
            hostile(12).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ]
    };
    prop_oneof![4 => scalar(), 1 => vec(scalar(), 0..3).prop_map(Value::from), 1 => Just(Value::Null)]
}

fn settings(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    vec((select(keys), free_value()), 0..3).prop_map(|entries| {
        Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    })
}

/// A forward by nspawn or by a socket unit, in each way to write it.
fn port() -> impl Strategy<Value = Value> {
    let address = select(vec!["127.0.0.1", "0.0.0.0", "192.0.2.1", "::1", "::", "2001:db8::1"]);
    let inside = weighted(0.5, 1..=65535u16);
    prop_oneof![
        (1..=65535u16, inside.clone(), weighted(0.5, select(vec!["tcp", "udp"])))
            .prop_map(|(host, inside, protocol)| match protocol {
                Some(protocol) => json!({"hostPort": host, "containerPort": inside, "protocol": protocol}),
                None => json!({"hostPort": host, "containerPort": inside}),
            }),
        (1..=65535u16, inside, weighted(0.7, address.clone()), any::<Option<bool>>()).prop_map(
            |(host, inside, address, start)| {
                json!({"hostPort": host, "containerPort": inside, "hostAddress": address, "startOnConnect": start})
            }
        ),
        (select(vec!["", "tcp:", "udp:"]), 1..=65535u16)
            .prop_map(|(protocol, host)| format!("{protocol}{host}").into()),
        (select(vec!["", "tcp:"]), address, 1..=65535u16, 1..=65535u16).prop_map(
            |(protocol, address, host, inside)| {
                let brackets = if address.contains(':') { ["[", "]"] } else { ["", ""] };
                format!("{protocol}{}{address}{}:{host}:{inside}", brackets[0], brackets[1]).into()
            }
        ),
    ]
}

fn limits() -> impl Strategy<Value = Value> {
    let memory = || {
        prop_oneof![
            (1..=i64::MAX).prop_map(Value::from),
            "[1-9][0-9]{0,3}(\\.[0-9]{1,3})?[KMGTP]".prop_map(Value::from),
            "[1-9][0-9]?(\\.[0-9]{1,2})?%".prop_map(Value::from),
            Just(Value::from("infinity")),
        ]
    };
    let weight = || (1..=10_000u32).prop_map(Value::from);
    let tasks = prop_oneof![(1..=i64::MAX).prop_map(Value::from), "[1-9][0-9]?%".prop_map(Value::from)];
    (
        weighted(0.2, memory()),
        weighted(0.2, memory()),
        weighted(0.2, "[1-9][0-9]{0,3}(\\.[0-9]{1,2})?%"),
        weighted(0.2, weight()),
        weighted(0.2, weight()),
        weighted(0.2, tasks),
    )
        .prop_map(|(max, high, quota, cpu, io, tasks)| {
            json!({"memoryMax": max, "memoryHigh": high, "cpuQuota": quota, "cpuWeight": cpu, "ioWeight": io, "tasksMax": tasks})
        })
}

fn devices_and_mounts() -> impl Strategy<Value = Value> {
    let node = || hostile(8).prop_map(|name| format!("/dev/{}", name.replace(['/', ' ', '\\'], "x")));
    let device = prop_oneof![
        node().prop_map(Value::from),
        (node(), subsequence(vec!["r", "w", "m"], 1..4))
            .prop_map(|(path, may)| json!({"path": path, "permissions": may.concat()})),
    ];
    let escaped = path().prop_map(|path| path.replace('\\', "\\\\").replace(':', "\\:"));
    let tmpfs = (escaped, weighted(0.5, select(vec!["size=10%", "mode=1777,nosuid", "uid=1000"])))
        .prop_map(|(path, options)| options.map(|options| format!("{path}:{options}")).unwrap_or(path));
    (vec(device, 0..2), vec(tmpfs, 0..2), vec(path(), 0..2), any::<(bool, bool, bool)>()).prop_map(
        |(devices, tmpfs, hidden, (tun, fuse, log))| {
            json!({"devices": devices, "tmpfs": tmpfs, "inaccessiblePaths": hidden, "tun": tun, "fuse": fuse, "kernelLog": log})
        },
    )
}

fn first_process() -> impl Strategy<Value = Value> {
    let capabilities = (
        subsequence(vec!["CAP_SYS_TIME", "CAP_BPF", "CAP_IPC_LOCK"], 0..3),
        subsequence(vec!["CAP_SYS_CHROOT", "CAP_MKNOD"], 0..2),
    )
        .prop_map(|(add, drop)| json!({"add": add, "drop": drop}));
    let environment = vec(("[A-Z_][A-Z0-9_]{0,8}", weighted(0.9, hostile(12))), 0..3).prop_map(|entries| {
        Value::Object(entries.into_iter().map(|(name, value)| (name, value.into())).collect())
    });
    let rlimits = select(vec![
        json!({}),
        json!({"NOFILE": "1024:4096", "CORE": "infinity"}),
        json!({"CPU": "30s:1min", "NICE": "+5:-5", "AS": "4G", "RTTIME": 500_000}),
    ]);
    let timezone = weighted(0.3, select(vec!["off", "copy", "bind", "symlink", "delete", "auto"]));
    let resolv_conf = weighted(0.3, select(vec!["off", "copy-host", "replace-stub", "bind-uplink", "auto"]));
    let hostname = weighted(0.3, "[a-zA-Z0-9]{1,10}(\\.[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?){0,2}");
    (capabilities, environment, rlimits, timezone, resolv_conf, hostname, weighted(0.3, -1000..=1000i64)).prop_map(
        |(capabilities, environment, rlimits, timezone, resolv_conf, hostname, oom)| {
            json!({"capabilities": capabilities, "environment": environment, "rlimits": rlimits, "timezone": timezone,
                "resolvConf": resolv_conf, "hostname": hostname, "oomScoreAdjust": oom})
        },
    )
}

/// Options that systemd's parsers must always accept.
pub(crate) fn options() -> impl Strategy<Value = Map<String, Value>> {
    let activation = (
        select(vec!["none", "reload", "restart", "dynamic"]),
        any::<Option<bool>>(),
        weighted(0.2, "/[a-z %#;:,=-]{1,10}[a-z]".boxed()),
        select(vec!["running", "degraded", "active", "none"]),
        weighted(0.2, hostile(20).boxed()),
    )
        .prop_map(|(strategy, start, script, expect, check)| {
            json!({"strategy": strategy, "autoStart": start, "reloadScript": script, "expect": expect, "check": check})
        });
    let port = port();
    let credential = (id(), weighted(0.8, prop_oneof![plain_path(), id()]), any::<Option<bool>>())
        .prop_map(|(id, path, encrypted)| json!({"id": id, "path": path, "encrypted": encrypted}));
    let others =
        || vec(prop_oneof!["c[0-9]{1,2}", "[a-zA-Z0-9:_.\\\\-]{1,8}\\.(service|target|mount)"], 0..3);
    let interface = || "[a-z][a-z0-9.#$~=-]{1,14}(:[a-z][a-z0-9.#$~=-]{1,14})?";
    let extra = (select(vec!["macvlan", "ipvlan", "interfaces", "extraVeths"]), vec(interface(), 1..3));
    // With an IPv4 address at the end, since networkd warns about a DHCP server without one.
    let ends = (select(vec!["", "fd01::1/64"]), "10\\.[1-9]\\.[1-9]\\.[1-9]/24");
    let host = (ends.prop_map(|(first, last)| vec![first.to_owned(), last]), any::<bool>());
    let host = host.prop_map(|(address, server)| (address, json!({"DHCPServer": server})));
    let network = prop_oneof![
        3 => Just(json!({"zone": null})),
        1 => "[a-z0-9.#$~=-]{1,12}".prop_map(|zone| json!({"zone": zone})),
        1 => "[a-z][a-z0-9.#$~=-]{1,14}".prop_map(|bridge| json!({"bridge": bridge})),
        1 => extra.prop_map(|(option, names)| json!({option: names})),
        1 => host.prop_map(|(address, network)| json!({"hostNetworkConfig": {"address": address, "networkConfig": network}})),
    ];
    let time = prop_oneof![
        Just("infinity".to_owned()),
        "[1-9][0-9]{0,4}(ms|s|min|h|d|)",
        "[1-9][0-9]?min [1-9][0-9]?s",
        "[0-9]\\.[0-9]{1,3}h",
    ];
    let filter = select(vec!["@keyring", "~@module", "bpf keyctl", "~bpf"]);
    let booleans = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let more = (limits(), devices_and_mounts(), first_process());
    let first = (activation, vec(bind_mount(), 0..4), vec(credential, 0..3), vec(port, 0..4));
    let order = (others(), others(), others());
    (first, network, weighted(0.3, time), weighted(0.2, filter), booleans, order, more).prop_map(
        |((activation, mounts, credentials, ports), network, time, filter, booleans, order, more)| {
            let (declarative, ephemeral, socket, namespacing) = booleans;
            let mut options = Map::new();
            let (limits, devices, process) = more;
            for group in [limits, devices, process] {
                options.extend(group.as_object().cloned().unwrap_or_default());
            }
            let mut set = |key: &str, value: Value| options.insert(key.to_owned(), value);
            set("activation", activation);
            set("bindMounts", mounts.into());
            set("credentials", credentials.into());
            set("forwardPorts", ports.into());
            network
                .as_object()
                .into_iter()
                .flatten()
                .for_each(|(option, value)| drop(set(option, value.clone())));
            set("timeoutStartSec", time.into());
            set("systemCallFilter", filter.into());
            set("declarative", declarative.into());
            set("ephemeral", ephemeral.into());
            set("mountDaemonSocket", socket.into());
            set("userNamespacing", namespacing.into());
            let (after, requires, wants) = order;
            set("after", after.into());
            set("requires", requires.into());
            set("wants", wants.into());
            options
        },
    )
}

/// An intent with any of its fields, free-form settings included.
pub(crate) fn intent() -> impl Strategy<Value = Value> {
    let nspawn = (
        settings(&["Boot", "Capability", "Environment", "Hostname", "Parameters", "PrivateUsers", "X-Note"]),
        settings(&["Bind", "BindReadOnly", "Inaccessible", "PrivateUsersOwnership", "TemporaryFileSystem"]),
        settings(&["MACVLAN", "Port", "Private", "VirtualEthernet", "X-Note"]),
    )
        .prop_map(|(exec, files, network)| json!({"Exec": exec, "Files": files, "Network": network}));
    let service = settings(&["CPUWeight", "Environment", "MemoryMax", "Restart", "TimeoutStopSec", "X-Note"]);
    let unit = settings(&["After", "Description", "Wants", "X-Note"]);
    let source = weighted(0.3, (hostile(20), hostile(10), vec(hostile(10), 0..3)));
    (options(), nspawn, service, unit, source, any::<Option<bool>>(), any::<Option<u64>>()).prop_map(
        |(mut options, nspawn, service, unit, source, autostart, generation)| {
            options.insert("nspawnConfig".to_owned(), nspawn);
            options.insert("serviceConfig".to_owned(), service);
            options.insert("unitConfig".to_owned(), unit);
            let source = source.map(
                |(flake, system, arguments)| json!({"flake": flake, "system": system, "nixArgs": arguments}),
            );
            json!({
                "version": 1,
                "toplevel": TOPLEVEL,
                "source": source,
                "autostart": autostart,
                "generation": generation,
                "container": options,
            })
        },
    )
}
