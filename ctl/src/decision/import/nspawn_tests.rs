use serde_json::{Value, json};
use systemd_unit_syntax::parse;

use super::nspawn::{Nspawn, translate};
use crate::decision::overrides::over;

fn of(text: &str) -> Nspawn {
    let read = translate(&parse(text.as_bytes()).unwrap().file);
    // What is translated must be options.
    over(&read.translation.layer(), &Default::default()).unwrap_or_else(|why| panic!("{text}: {why}"));
    read
}

/// Returns what is set, without what follows from an empty file.
fn set(text: &str) -> Value {
    let mut set = of(text).translation.options;
    for (option, default) in [("userNamespacing", json!(true)), ("network", json!("private"))] {
        if set.get(option) == Some(&default) {
            set.remove(option);
        }
    }
    Value::Object(set)
}

#[test]
fn an_empty_file_means_what_the_unit_passes() {
    let read = of("");
    assert_eq!(
        Value::Object(read.translation.options),
        json!({ "userNamespacing": true, "network": "private" })
    );
    assert_eq!(
        (read.translation.missing.len(), read.system, read.no_system, read.translation.autostart),
        (0, None, None, None)
    );
}

#[test]
fn the_network_is_translated() {
    for (text, options) in [
        ("Private=yes", json!({ "network": "none" })),
        ("Private=no", json!({ "network": "host" })),
        ("VirtualEthernet=no", json!({ "network": "host" })),
        ("VirtualEthernet=yes", json!({})),
        ("Bridge=br0", json!({ "bridge": "br0" })),
        ("Zone=home", json!({ "zone": "home" })),
        ("Port=tcp:8080:80\nPort=53", json!({ "forwardPorts": ["tcp:53:53", "tcp:8080:80"] })),
        ("MACVLAN=eth0:mv", json!({ "macvlan": ["eth0:mv"], "network": "none" })),
        (
            "IPVLAN=eth0\nInterface=eth1",
            json!({ "interfaces": ["eth1"], "ipvlan": ["eth0"], "network": "none" }),
        ),
        ("VirtualEthernetExtra=a:b", json!({ "extraVeths": ["a:b"], "network": "none" })),
        ("NamespacePath=/run/netns/x", json!({ "namespacePath": "/run/netns/x" })),
    ] {
        assert_eq!(set(&format!("[Network]\n{text}\n")), options, "{text}");
    }
    let read = of("[Network]\nPrivate=no\nPort=80\n");
    assert_eq!(
        read.translation.missing,
        ["Port= has no effect without a private network, so it is left out"]
    );
}

#[test]
fn mounts_are_translated() {
    for (text, options) in [
        (
            "BindReadOnly=/srv/a:/a\nBind=/srv/b",
            json!({ "bindMounts": [
                { "source": "/srv/b", "destination": "/srv/b", "idmap": "noidmap" },
                { "source": "/srv/a", "destination": "/a", "readOnly": true, "idmap": "noidmap" },
            ] }),
        ),
        (
            "Bind=/srv/a:/a:rootidmap,norbind",
            json!({ "bindMounts": [
                { "source": "/srv/a", "destination": "/a", "recursive": false, "idmap": "rootidmap" },
            ] }),
        ),
        (
            "Bind=+/var/a:/a\nBindReadOnly=+/var/b:/b",
            json!({ "bindMounts": ["+/var/a:/a"], "nspawnConfig.Files.BindReadOnly": ["+/var/b:/b"] }),
        ),
        (
            "BindReadOnly=/nix/store\nBindReadOnly=/nix/var/nix/db\nBind=/nix/var/nix/daemon-socket",
            json!({ "mountDaemonSocket": true }),
        ),
        (
            "TemporaryFileSystem=/scratch:size=1M\nInaccessible=/proc/kcore\nReadOnly=yes",
            json!({
                "tmpfs": ["/scratch:size=1M"],
                "inaccessiblePaths": ["/proc/kcore"],
                "nspawnConfig.Files.ReadOnly": "yes",
            }),
        ),
    ] {
        let options = options.as_object().unwrap();
        assert_eq!(set(&format!("[Files]\n{text}\n")).as_object().unwrap(), options, "{text}");
    }
    let plain = set("[Exec]\nPrivateUsers=no\n[Files]\nBind=/srv/b\nPrivateUsersOwnership=chown\n");
    assert_eq!(
        plain,
        json!({ "userNamespacing": false, "bindMounts": [{ "source": "/srv/b", "destination": "/srv/b" }] })
    );
    let missing = of("[Files]\nBind=/nix/store\nBindReadOnly=/srv/store:/nix/store\n").translation.missing;
    assert_eq!(
        missing,
        [
            "Bind=/nix/store:/nix/store: every container sees the host's /nix/store, read-only",
            "BindReadOnly=/srv/store:/nix/store: every container sees the host's /nix/store, read-only",
        ]
    );
}

#[test]
fn the_first_process_is_translated() {
    let text = "[Exec]\nCapability=CAP_NET_ADMIN CAP_SYS_NICE\nDropCapability=CAP_MKNOD\nEnvironment=\"A=x y\"\n\
        Hostname=box\nTimezone=off\nResolvConf=copy-host\nEphemeral=no\nOOMScoreAdjust=10\nLimitNOFILE=1024\n\
        MachineID=0123456789abcdef0123456789abcdef\nSystemCallFilter=@keyring ~kexec_load\nKillSignal=SIGTERM\n\
        LinkJournal=host\nNotifyReady=no\nX-Note=x\n[X-Own]\nA=b\n";
    assert_eq!(
        set(text),
        json!({
            "capabilities.add": ["CAP_NET_ADMIN", "CAP_SYS_NICE"],
            "capabilities.drop": ["CAP_MKNOD"],
            "environment.A": "x y",
            "hostname": "box",
            "timezone": "off",
            "resolvConf": "copy-host",
            "ephemeral": false,
            "oomScoreAdjust": 10,
            "nspawnConfig.Exec.LimitNOFILE": "1024:1024",
            "nspawnConfig.Exec.MachineID": "0123456789abcdef0123456789abcdef",
            "nspawnConfig.Exec.SystemCallFilter": ["@keyring", "~kexec_load"],
        })
    );
    assert_eq!(of(text).translation.missing, [""; 0]);
    let missing = of("[Exec]\nUser=me\nFrob=1\nParameters=quiet\n[Odd]\nA=b\n").translation.missing;
    assert_eq!(
        missing,
        [
            "[Exec] Frob=1 is not a setting of systemd-nspawn",
            "[Odd] A=b is not a setting of systemd-nspawn",
            "User=me: the first process is the system's, and root's",
            "Parameters=quiet: the init gets no arguments",
        ]
    );
}

#[test]
fn what_is_started_is_a_system() {
    let store = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
    let read = of(&format!("[Exec]\nBoot=no\nParameters={store}/init\n"));
    assert_eq!(read.system.map(|path| path.to_string()).as_deref(), Some(store));
    let read = of("[Exec]\nBoot=no\nParameters=/sbin/init\n");
    assert_eq!((read.system, read.no_system), (None, None));
    for (text, why) in [
        ("Boot=no\nParameters=/bin/sh", "Boot=no runs a program"),
        ("Boot=no", "Boot=no runs a program"),
        ("ProcessTwo=yes", "ProcessTwo=yes runs a program"),
    ] {
        let why_not = of(&format!("[Exec]\n{text}\n")).no_system.unwrap();
        assert!(why_not.starts_with(why), "{text}: {why_not}");
    }
}
