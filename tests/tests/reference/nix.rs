//! The same configurations through our own mkContainer, and as instances of a host: nspawn and systemd get the same
//! settings as from python-nixos-nspawn. The stand-in of tests/nix replaces NixOS and knows the relevant options.

use std::collections::BTreeMap;
use std::fs;

use nixos_nspawn_tests::nix::{PROJECT, evaluate};
use nixos_nspawn_tests::reference::{Case, Settings, cases, in_force, json, unit_file};
use pretty_assertions::assert_eq;
use serde_json::{Value, json as value};
use systemd_unit_syntax::settings::parse_boolean;

use super::{
    PROFILE, create, network, network_of, root_with_profile, service, text, with_ipv6_if_asked, without_guest,
};

/// Returns what our mkContainer makes of the configuration, or Nix's error. An instance of a host must give the same.
fn made(cases: &[Case]) -> Vec<Result<Value, String>> {
    let expressions: Vec<String> = cases
        .iter()
        .map(|case| {
            let input = format!("{PROJECT}/tests/golden/reference/{}/input.json", case.name);
            format!(
                "let
                   input = builtins.fromJSON (builtins.readFile {input});
                   inherit (input) name;
                   pick = path: default: builtins.foldl' (set: key: set.${{key}} or default) input.module path;
                   without = set: key: removeAttrs set [ key ];
                 in import {PROJECT}/tests/nix/ways.nix {{
                   inherit name;
                   # Its default is another one.
                   settings = {{ userNamespacing = false; }} // input.module.nixosContainer or {{ }};
                   nspawn = pick [ \"systemd\" \"nspawn\" name ] null;
                   module = without input.module \"nixosContainer\"
                     // (if input.module ? systemd then {{ systemd = without input.module.systemd \"nspawn\"; }} else {{ }});
                 }}"
            )
        })
        .collect();
    let made = evaluate(&expressions).into_iter().zip(cases);
    made.map(|(made, case)| {
        made.map(|mut ways| {
            let data = ways["mkContainer"].take();
            assert_eq!((&ways["beside"], &ways["within"]), (&data, &data), "case {}", case.name);
            data
        })
    })
    .collect()
}

#[test]
fn the_same_configuration_has_the_same_effect() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.dir.join("data.json").exists()).collect();
    assert!(cases.len() >= 12, "only {} cases", cases.len());
    for (case, data) in cases.iter().zip(made(&cases)) {
        let data = data.unwrap_or_else(|said| panic!("case {}: {said}", case.name));
        let name = case.container.as_str();
        let root = root_with_profile(case);
        let folder = root.path().join(PROFILE.trim_start_matches('/')).join("nixos-nspawn");
        fs::remove_dir_all(&folder).expect("removed");
        fs::create_dir(&folder).expect("new");
        fs::write(folder.join("data.json"), data.to_string()).expect("written");
        let created = create(&root, name);
        assert!(created.status.success(), "case {}: {}", case.name, text(&created));
        assert_eq!(root.generate().status, 0, "case {}", case.name);
        let units = root.units();
        let ours = unit_file(&units.join(format!("nixos-nspawn/{name}.nspawn")));
        let theirs = unit_file(&case.dir.join(format!("{name}.nspawn")));
        assert_eq!(but_ownership(in_force(&ours)), but_ownership(in_force(&theirs)), "case {}", case.name);
        let drop_in = unit_file(&units.join(format!("systemd-nspawn@{name}.service.d/50-nixos-nspawn.conf")));
        let overrides = unit_file(&case.dir.join("service-overrides.conf"));
        assert_eq!(service(&drop_in), service(&overrides), "case {}", case.name);
        if let Some(theirs) = network_of(case) {
            let ours = unit_file(&units.join(format!("nixos-nspawn/50-nixos-nspawn-{name}.network")));
            let theirs = with_ipv6_if_asked(network(&theirs, "", ""));
            assert_eq!(network(&ours, "", ""), theirs, "case {}", case.name);
        }
    }
}

/// If PrivateUsers= is set directly, its builder changes the owner of the whole root, which was meant for containers
/// without user namespaces. Ours maps ids as with the option; a profile that it built keeps its setting.
fn but_ownership(mut settings: Settings) -> Settings {
    settings = without_guest(settings);
    for value in settings.get_mut("[Files] PrivateUsersOwnership").into_iter().flatten() {
        if value == "chown" {
            *value = "auto".to_owned();
        }
    }
    settings
}

/// Returns the options in the intent of a container of a profile with these data.
fn options_of(case: &Case, data: Option<&Value>) -> Value {
    let root = root_with_profile(case);
    if let Some(data) = data {
        let folder = root.path().join(PROFILE.trim_start_matches('/')).join("nixos-nspawn");
        fs::remove_dir_all(&folder).expect("removed");
        fs::create_dir(&folder).expect("new");
        fs::write(folder.join("data.json"), data.to_string()).expect("written");
    }
    let created = create(&root, &case.container);
    assert!(created.status.success(), "case {}: {}", case.name, text(&created));
    json(&root.intents().join(format!("{}.json", case.container)))["container"].take()
}

/// A profile that python-nixos-nspawn built and one of ours give the same intent, and so does an instance of a host.
#[test]
fn the_same_options_give_the_same_intent() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.dir.join("data.json").exists()).collect();
    let defaults = cases.iter().find(|case| case.name == "empty").expect("the case");
    let defaults = json(&defaults.dir.join("data.json"));
    let mut unset = values(&defaults);
    for (case, data) in cases.iter().zip(made(&cases)) {
        let data = data.unwrap_or_else(|said| panic!("case {}: {said}", case.name));
        let mut ours = options_of(case, Some(&data));
        let mut theirs = options_of(case, None);
        if ours["activation"]["strategy"].is_null() {
            // The defaults differ.
            assert_eq!(theirs["activation"]["strategy"].take(), "restart", "case {}", case.name);
        }
        if ours["nspawnConfig"]["Exec"]["PrivateUsers"].is_array() {
            // See but_ownership().
            let ownership = theirs["nspawnConfig"]["Files"]["PrivateUsersOwnership"].take();
            assert_eq!(ownership, value!(["chown"]), "case {}", case.name);
        }
        for intent in [&mut ours, &mut theirs] {
            if let Some(given) = intent.pointer_mut("/nspawnConfig/Network/VirtualEthernet") {
                *given = value!(given[0].as_str().and_then(parse_boolean));
            }
        }
        let [ours, theirs] = [ours, theirs].map(|intent| {
            let mut values = values(&intent);
            values.retain(|_, value| !value.is_null());
            values
        });
        assert_eq!(ours, theirs, "case {}", case.name);
        let set = values(&json(&case.dir.join("data.json")));
        unset.retain(|path, default| set.get(path) == Some(default));
    }
    // Neither is for users.
    unset.retain(|path, _| !["/declarative", "/sharedNix"].contains(&path.as_str()));
    assert_eq!(unset, BTreeMap::new(), "options of python-nixos-nspawn that no case sets");
}

/// Returns all values that are not objects, by their pointers.
fn values(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut left = vec![(String::new(), value)];
    while let Some((path, value)) = left.pop() {
        match value {
            Value::Object(fields) => {
                left.extend(fields.iter().map(|(name, value)| (format!("{path}/{name}"), value)));
            }
            _ => {
                found.insert(path, value.clone());
            }
        }
    }
    found
}

#[test]
fn options_that_it_refused_are_refused() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.dir.join("error.txt").exists()).collect();
    assert_eq!(cases.len(), 1);
    for (case, made) in cases.iter().zip(made(&cases)) {
        let said = made.expect_err(&case.name);
        let options = json(&case.dir.join("input.json"))["module"]["nixosContainer"].clone();
        for option in options.as_object().expect("options").keys() {
            assert!(said.contains(&format!(".{option}' is not of type")), "{said}");
        }
    }
}
