//! Profiles built by python-nixos-nspawn, passed through `nixos-nspawn-ctl create` and the generator: nspawn and systemd get
//! the same settings as from its own files. Differences are listed in the tables here, with reasons. The data is in
//! tests/golden/reference; cases are found by listing.

#[path = "reference/nix.rs"]
mod nix;
#[path = "reference/service.rs"]
mod service;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use nixos_nspawn_tests::golden::Root;
use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::reference::{Case, Settings, cases, in_force, json, unit_file};
use serde_json::Value;
use service::service;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::settings::parse_boolean;

const PROFILE: &str = "/nix/store/00000000000000000000000000000000-nixos-nspawn-profile";

#[test]
fn settings_of_python_nixos_nspawn_are_in_force() {
    let (mut compared, mut networks) = (0, 0);
    for case in cases() {
        if !case.dir.join("data.json").exists() {
            continue;
        }
        // Under its own name, and under another one.
        for name in [case.container.as_str(), "renamed"] {
            let root = root_with_profile(&case);
            let created = create(&root, name);
            assert!(created.status.success(), "case {}: {}", case.name, text(&created));
            assert_eq!(root.generate().status, 0, "case {}", case.name);
            let units = root.units();
            let ours = unit_file(&units.join(format!("nixos-nspawn/{name}.nspawn")));
            let theirs = unit_file(&case.dir.join(format!("{}.nspawn", case.container)));
            assert_eq!(
                in_force(&ours),
                without_guest(in_force(&theirs)),
                "case {}, container {name}",
                case.name
            );

            let unit = format!("systemd-nspawn@{name}.service");
            let drop_in = unit_file(&units.join(format!("{unit}.d/50-nixos-nspawn.conf")));
            let overrides = unit_file(&case.dir.join("service-overrides.conf"));
            assert_eq!(service(&drop_in), service(&overrides), "case {}, container {name}", case.name);

            if let Some(theirs) = network_of(&case) {
                let ours = unit_file(&units.join(format!("nixos-nspawn/50-nixos-nspawn-{name}.network")));
                let theirs = network(&theirs, &format!("ve-{}", case.container), &format!("ve-{name}"));
                let theirs = with_ipv6_if_asked(theirs);
                assert_eq!(network(&ours, "", ""), theirs, "case {}, container {name}", case.name);
                networks += 1;
            }

            let autostart = json(&case.dir.join("data.json"))["activation"]["autoStart"] == Value::Bool(true);
            assert_eq!(units.join(format!("machines.target.wants/{unit}")).is_symlink(), autostart);
            compared += 1;
        }
    }
    assert!(compared >= 24 && networks == 4, "only {compared} comparisons, {networks} of networks");
}

/// The builder of python-nixos-nspawn always masquerades and announces IPv6, so this is no choice of the
/// container's author.
fn with_ipv6_if_asked(mut theirs: Vec<(String, Settings)>) -> Vec<(String, Settings)> {
    if theirs.iter().any(|(section, _)| section == "IPv6Prefix") {
        return theirs;
    }
    let (_, settings) = theirs.iter_mut().find(|(section, _)| section == "Network").expect("a section");
    for (key, builders, ours) in [("IPMasquerade", "both", "ipv4"), ("IPv6SendRA", "true", "false")] {
        let value = settings.insert(key.to_owned(), vec![ours.to_owned()]);
        assert_eq!(value, Some(vec![builders.to_owned()]));
    }
    theirs
}

/// As with systemd's template, a container starts on a host without a persistent journal.
fn without_guest(mut settings: Settings) -> Settings {
    for value in settings.get_mut("[Exec] LinkJournal").into_iter().flatten() {
        if value == "guest" {
            *value = "try-guest".to_owned();
        }
    }
    settings
}

/// A hand-made data.json is refused like the same options in its module system.
#[test]
fn options_of_a_wrong_type_are_refused() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.dir.join("error.txt").exists()).collect();
    assert_eq!(cases.len(), 1);
    for case in cases {
        let root = root_with_profile(&case);
        let options = &json(&case.dir.join("input.json"))["module"]["nixosContainer"];
        let data = root.path().join(PROFILE.trim_start_matches('/')).join("nixos-nspawn/data.json");
        fs::write(data, options.to_string()).expect("written");
        let created = create(&root, &case.container);
        assert_eq!(created.status.code(), Some(10), "case {}: {}", case.name, text(&created));
        assert!(text(&created).contains("bindMounts"), "case {}: {}", case.name, text(&created));
        assert_nothing_left(&root, &case.container);
    }
}

/// Lines that somebody adds to the files of a profile stay in force, except for those in the tables here.
#[test]
fn settings_added_by_hand_are_in_force() {
    let case = cases().into_iter().find(|case| case.name == "bind-mounts").expect("the case");
    let root = root_with_profile(&case);
    let folder = root.path().join(PROFILE.trim_start_matches('/')).join("nixos-nspawn");
    let path = folder.join("demo.nspawn");
    let added = "[Exec]\nHostname=www\nCapability=CAP_NET_ADMIN\nLimitNOFILE=100\nLinkJournal=no\n\
        [Files]\nTemporaryFileSystem=/var/cache\nBind=/var/lib/machines/demo/x:/y\nReadOnly=yes\n\
        [Network]\nVirtualEthernetExtra=ve-more:more\n";
    fs::write(&path, fs::read_to_string(&path).expect("readable") + added).expect("written");
    let theirs = unit_file(&path);
    let path = folder.join("service-overrides.conf");
    let more = "[Service]\nMemoryMax=1G\nEnvironment=\"A=b c\"\n[Unit]\nAfter=postgresql.service\n";
    fs::write(&path, fs::read_to_string(&path).expect("readable") + more).expect("written");
    let created = create(&root, "demo");
    assert!(created.status.success(), "{}", text(&created));
    assert_eq!(root.generate().status, 0);
    let ours = unit_file(&root.units().join("nixos-nspawn/demo.nspawn"));
    assert_eq!(in_force(&ours), in_force(&theirs));
    let drop_in = unit_file(&root.units().join("systemd-nspawn@demo.service.d/50-nixos-nspawn.conf"));
    assert_eq!(service(&drop_in), service(&unit_file(&path)));
}

/// The same for lines in the file for networkd.
#[test]
fn network_settings_added_by_hand_are_in_force() {
    let case = cases().into_iter().find(|case| case.name == "docs-example").expect("the case");
    let root = root_with_profile(&case);
    let folder = root.path().join(PROFILE.trim_start_matches('/')).join("nixos-nspawn");
    let path = folder.join("20-ve-example.network");
    let added = "[Network]\nDNS=10.0.0.1\n[Route]\nGateway=10.0.0.2\n[Route]\nGateway=10.0.0.3\nMetric=5\n";
    fs::write(&path, fs::read_to_string(&path).expect("readable") + added).expect("written");
    let created = create(&root, "example");
    assert!(created.status.success(), "{}", text(&created));
    assert_eq!(root.generate().status, 0);
    let ours = unit_file(&root.units().join("nixos-nspawn/50-nixos-nspawn-example.network"));
    assert_eq!(network(&ours, "", ""), network(&unit_file(&path), "", ""));
}

/// NixOS links /etc/localtime to the system's own time zone, which fails if nspawn has mounted a file there.
#[test]
fn a_system_with_a_time_zone_keeps_it() {
    let case = cases().into_iter().find(|case| case.name == "docs-example").expect("the case");
    for own in [false, true] {
        let root = root_with_profile(&case);
        let init =
            fs::read_link(root.path().join(PROFILE.trim_start_matches('/')).join("init")).expect("a link");
        let etc = "/nix/store/22222222222222222222222222222222-etc/etc";
        let below = |path: &str| root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(below(etc)).expect("new");
        symlink(etc, below(init.parent().and_then(Path::to_str).expect("a path")).join("etc")).expect("new");
        if own {
            symlink("/etc/zoneinfo/Asia/Tokyo", below(etc).join("localtime")).expect("new");
        }
        let created = create(&root, "example");
        assert!(created.status.success(), "{}", text(&created));
        assert_eq!(root.generate().status, 0);
        let ours = unit_file(&root.units().join("nixos-nspawn/example.nspawn"));
        assert_eq!(
            ours.values("Exec", "Timezone").collect::<Vec<_>>(),
            if own { vec!["off"] } else { vec![] }
        );
    }
}

/// For a container in a zone, python-nixos-nspawn accepts hostNetworkConfig and writes no file for networkd. A profile
/// of ours with both is refused.
#[test]
fn host_network_of_a_zone_is_left_out() {
    let case = cases().into_iter().find(|case| case.name == "zone").expect("the case");
    for (version, code) in [(None, 0), (Some(1), 10)] {
        let root = root_with_profile(&case);
        let path = root.path().join(PROFILE.trim_start_matches('/')).join("nixos-nspawn/data.json");
        let mut data = json(&path);
        data["hostNetworkConfig"] = serde_json::json!({ "address": ["10.0.0.1/24"] });
        if let Some(version) = version {
            data["version"] = version.into();
        }
        fs::write(&path, data.to_string()).expect("written");
        let created = create(&root, "demo");
        assert_eq!(created.status.code(), Some(code), "{}", text(&created));
        assert!(text(&created).contains("hostNetworkConfig"), "{}", text(&created));
        if code == 0 {
            assert!(text(&created).contains("has no effect in a zone and is left out"), "{}", text(&created));
            assert_eq!(root.generate().status, 0);
            // The zone's bridge has a file, the container's interface has none.
            let files = root.units().join("nixos-nspawn");
            assert!(!files.join("50-nixos-nspawn-demo.network").exists());
        }
    }
}

/// Returns the case's file for networkd, if there is one.
fn network_of(case: &Case) -> Option<UnitFile> {
    let mut files = fs::read_dir(&case.dir).expect("readable").flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|ending| ending == "network")).map(|path| unit_file(&path))
}

/// Returns sections and settings as networkd sees them: sections in any order, settings of the same name in their order,
/// and the interface name of the container.
fn network(file: &UnitFile, from: &str, to: &str) -> Vec<(String, Settings)> {
    let mut sections: Vec<(String, Settings)> = Vec::new();
    for section in &file.sections {
        let mut settings = Settings::new();
        let file = UnitFile { header: Vec::new(), sections: vec![section.clone()] };
        for (_, key, value) in file.settings() {
            let value = match parse_boolean(value) {
                _ if value == from => to.to_owned(),
                Some(yes) if value.parse::<u32>().is_err() => yes.to_string(),
                _ => value.to_owned(),
            };
            settings.entry(key.to_owned()).or_default().push(value);
        }
        sections.push((section.name.to_string(), settings));
    }
    sections.sort();
    sections
}

/// Makes a root whose store contains the profile of a case, as Nix would build it.
fn root_with_profile(case: &Case) -> Root {
    let root = Root::empty();
    let below = |path: &str| root.path().join(path.trim_start_matches('/'));
    let folder = below(PROFILE).join("nixos-nspawn");
    fs::create_dir_all(&folder).expect("new");
    for entry in fs::read_dir(&case.dir).expect("readable").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !["input.json", "error.txt"].contains(&name.as_str()) {
            fs::copy(entry.path(), folder.join(name)).expect("copied");
        }
    }
    let nspawn = case.dir.join(format!("{}.nspawn", case.container));
    let init = if nspawn.exists() {
        unit_file(&nspawn).values("Exec", "Parameters").next().expect("an init").to_owned()
    } else {
        "/nix/store/11111111111111111111111111111111-nixos-system-demo/init".to_owned()
    };
    fs::create_dir_all(below(&init).parent().expect("a folder")).expect("new");
    fs::write(below(&init), "#!/bin/sh\n").expect("written");
    symlink(&init, below(PROFILE).join("init")).expect("linked");
    // python-nixos-nspawn writes its files for the newest networkd.
    fs::create_dir_all(root.intents()).expect("new");
    fs::write(root.intents().join("host.json"), r#"{"version": 1, "systemd": 262}"#).expect("written");
    root
}

fn create(root: &Root, name: &str) -> Output {
    let mut ctl = Command::new(&bins().ctl);
    ctl.arg("--root").arg(root.path()).args(["create", name, "--profile", PROFILE]);
    ctl.output().expect("ctl runs")
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn assert_nothing_left(root: &Root, name: &str) {
    let intent = root.intents().join(format!("{name}.json"));
    assert!(!intent.exists(), "{}", intent.display());
    let profile = root.path().join("nix/var/nix/profiles/per-nspawn").join(name);
    assert!(!profile.exists(), "{}", profile.display());
}
