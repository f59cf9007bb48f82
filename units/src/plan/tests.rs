#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

use std::cell::Cell;

use super::*;

fn loaded(names: &[&str]) -> Loaded {
    let intents = names.iter().map(|name| {
        let name: MachineName = name.parse().unwrap();
        let toplevel = format!("/nix/store/{}-a", "a".repeat(32)).parse().unwrap();
        let path = format!("/etc/nixos-nspawn/{name}.json");
        Stored { intent: Intent::new(name.clone(), toplevel), name, kind: Kind::Imperative, path }
    });
    Loaded { intents: intents.collect(), ..Loaded::default() }
}

#[test]
fn containers_without_time_are_refused() {
    let left = Cell::new(2);
    let in_time = |_| {
        left.set(left.get() - 1);
        left.get() >= 0
    };
    let mut files = BTreeMap::new();
    let plan = plan_in_time(&loaded(&["a", "b", "c", "d"]), &in_time, &mut |own| files.extend(own));
    let refused: Vec<bool> = plan.containers.iter().map(|planned| planned.refusal.is_some()).collect();
    assert_eq!(refused, [false, false, true, true]);
    let Entry::File(drop_in) = &files["systemd-nspawn@d.service.d/50-nixos-nspawn.conf"] else {
        panic!("a file");
    };
    assert!(drop_in.contains("# refused: /etc/nixos-nspawn/d.json: was not planned"), "{drop_in}");
    assert!(drop_in.contains(" --refuse d\n"), "{drop_in}");
    assert!(files.contains_key("multi-user.target.wants/systemd-nspawn@d.service"));
}

#[test]
fn each_path_has_its_owner() {
    for (path, expected) in [
        ("nixos-nspawn/web.nspawn", Some("web")),
        ("nixos-nspawn/web.refused", Some("web")),
        ("nixos-nspawn/50-nixos-nspawn-web.network", Some("web")),
        ("systemd-nspawn@a.service.service.d/50-nixos-nspawn.conf", Some("a.service")),
        ("machines.target.wants/systemd-nspawn@web.service", Some("web")),
        ("nixos-nspawn-proxy@web-tcp-80.socket", Some("web")),
        ("systemd-nspawn@web.service.wants/nixos-nspawn-proxy@web-tcp-80.socket", Some("web")),
        ("sockets.target.wants/nixos-nspawn-proxy@web-tcp-127.0.0.1-80.socket", Some("web")),
        ("nixos-nspawn-turn-web.target", None),
        ("machine-nixosnspawn.slice", None),
    ] {
        assert_eq!(owner(path), expected, "{path}");
    }
}
