//! Bind mounts, users, capabilities, and restrictions.

use nixos_nspawn_units::reach::Reach;
use serde_json::{Value, json};

use super::{between, container, same, widens, widens_only};

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
fn restrictions_that_are_lifted() {
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
    // The effect of these depends on what else is set.
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
