//! The lines for people, and the tokens for consent.

use nixos_nspawn_units::reach::{HOST_ROOT, Reach};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{between, container};

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
            "can read /srv/a as the host's root (bindMounts)",
            "cannot see /x (inaccessiblePaths)",
            "is limited to MemoryMax=1G (memoryMax)",
            "has StartLimitBurst=1 (unitConfig)",
        ]
    );
    // The directory that holds the mount points of bind mounts is not among them, and so is not locked.
    let lines = reach(json!({"network": "none", "bindMounts": [{"source": "/run", "readOnly": true}]}));
    assert_eq!(lines[1], "can read /run as the host's root, which can make it writable (bindMounts)");
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
    // What is taken away at the same time does not count.
    assert_eq!(token(json!({"kernelLog": true}), one.clone()), Some(first.clone()));
    assert_ne!(token(json!({}), two.clone()), Some(first.clone()));
    assert_eq!(token(one, json!({})), None);
    assert_ne!(between(&json!({}), &json!({"tun": true})).token(&[8; 16]), Some(first));
    // The order in which it is written does not count.
    assert_eq!(
        token(json!({}), json!({"bindMounts": ["/a", "/b"]})),
        token(json!({}), json!({"bindMounts": ["/b", "/a"]}))
    );
}
