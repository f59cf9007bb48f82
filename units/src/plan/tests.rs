#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

use std::sync::atomic::{AtomicI32, Ordering};

use super::*;

fn loaded(names: &[&str]) -> Loaded {
    let intents = names.iter().map(|name| {
        let name: MachineName = name.parse().unwrap();
        let toplevel = format!("/nix/store/{}-a", "a".repeat(32)).parse().unwrap();
        let path = format!("/etc/nixos-nspawn/{name}.json");
        Stored { intent: Box::new(Intent::new(name.clone(), toplevel)), name, kind: Kind::Imperative, path }
    });
    Loaded { intents: intents.collect(), ..Loaded::default() }
}

#[test]
fn containers_without_time_are_refused() {
    let left = AtomicI32::new(2);
    let in_time = |_| left.fetch_sub(1, Ordering::Relaxed) > 0;
    let files = Mutex::new(BTreeMap::new());
    let collect = |_: Option<&MachineName>, own: Files| files.lock().unwrap().extend(own);
    let plan = plan_in_time(&loaded(&["a", "b", "c", "d"]), &in_time, &|| collect);
    let files = files.into_inner().unwrap();
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
        ("sockets.target.wants/nixos-nspawn-proxy@web-tcp-127.0.0.1-80.socket", Some("web")),
        ("nixos-nspawn-turn-web.target", None),
        ("machine-nixosnspawn.slice", None),
    ] {
        assert_eq!(owner(path), expected, "{path}");
    }
}

#[test]
fn files_by_container_are_those_that_belong_to_it() {
    let paths = [
        "machine-nixosnspawn.slice",
        "nixos-nspawn-turn-a.target",
        "nixos-nspawn-turn-b.target",
        "nixos-nspawn/a.nspawn",
        "systemd-nspawn@b.service.d/50-nixos-nspawn.conf",
    ];
    let files = paths.map(|path| (path.to_owned(), Entry::File(String::new()))).into();
    let plan = Plan { files, ..Plan::default() };
    let grouped = plan.files_by_container();
    assert_eq!(grouped.keys().copied().collect::<Vec<_>>(), ["a", "b"]);
    for (name, own) in grouped {
        let own: Vec<&str> = own.into_iter().map(|(path, _)| path).collect();
        let name = name.parse().unwrap();
        let expected: Vec<&str> = paths.into_iter().filter(|path| belongs_to(path, &name)).collect();
        assert_eq!((own.len(), own), (2, expected));
    }
}

/// The list of writable mounts leaves out no container that may be usable.
#[test]
fn the_list_of_writable_mounts_is_complete_or_missing() {
    let fault = crate::intent::Fault::whole("x");
    let of_file = |unread: bool, shadowed: bool| LoadError {
        path: "/etc/nixos-nspawn/z.json".to_owned(),
        name: Some("z".parse().unwrap()),
        kind: Kind::Imperative,
        fault: fault.clone(),
        autostart: false,
        shadowed,
        unread,
    };
    let whole = |path: &str| LoadError { path: path.to_owned(), name: None, ..of_file(false, false) };
    for (error, listed) in [
        (of_file(false, false), true),
        (of_file(true, true), true),
        (of_file(true, false), false),
        (LoadError { name: None, ..of_file(true, false) }, true),
        (whole("/etc/nixos-nspawn/host.json"), true),
        (whole("/etc/nixos-nspawn/declarative.d"), false),
        (whole("/etc/nixos-nspawn"), false),
    ] {
        let loaded = Loaded { errors: vec![error.clone()], ..loaded(&["a"]) };
        assert_eq!(plan(&loaded).files.contains_key("nixos-nspawn/writable"), listed, "{error:?}");
    }
    let files = Mutex::new(Files::new());
    let collect = |_: Option<&MachineName>, own: Files| files.lock().unwrap().extend(own);
    plan_in_time(&loaded(&["a"]), &|_| false, &|| collect);
    let files = files.into_inner().unwrap();
    assert!(files.iter().all(|(path, _)| path != "nixos-nspawn/writable"), "{files:?}");
}
