//! From Nix to units: mkContainer turns the containers of tests/nix/every-option.nix into data.json, `create` turns a
//! profile with it into an intent, and the generator turns that into units. tests/golden/options has a file per group
//! with the data and every unit, and one per option of a group with the changes that the option alone makes to a
//! container without options. The same data in an intent that was written by hand gives the same units.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nixos_nspawn_tests::golden::{Root, blessing, compare, difference};
use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::manifest::indent;
use nixos_nspawn_tests::nix::{PROJECT, evaluate};
use serde_json::{Map, Value, json};

const TOPLEVEL: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05";
const PROFILE: &str = "/nix/store/1ja0rxwgmxk0pzfhwqvfmsjkxxzhq2zy-nixos-container-web";

/// A container that sets these options.
struct Made {
    /// The group, and the option if it is alone.
    name: String,
    /// Its data.json, as made by mkContainer.
    data: Value,
}

/// Returns the whole groups, each of their options alone, and a container without any; all are evaluated at once.
fn made() -> Vec<Made> {
    let expression = format!(
        "let
           every = import {PROJECT}/tests/nix/every-option.nix;
           data = nixosContainer: ((import {PROJECT}/nix/lib.nix {{ }}).mkContainer {{
             name = \"web\";
             system = \"x86_64-linux\";
             nixpkgs = {PROJECT}/tests/nix/stand-in;
             modules = [ {{ inherit nixosContainer; }} ];
           }}).data;
         in {{
           default = data {{ }};
           groups = builtins.mapAttrs (_: data) every;
           options = builtins.mapAttrs (_: builtins.mapAttrs (name: value: data {{ ${{name}} = value; }})) every;
         }}"
    );
    let mut result = evaluate(&[expression]).remove(0).unwrap_or_else(|said| panic!("{said}"));
    let mut made = vec![Made { name: "default".into(), data: result["default"].take() }];
    for (group, data) in result["groups"].as_object().expect("groups") {
        made.push(Made { name: group.clone(), data: data.clone() });
        let options = result["options"][group].as_object().expect("options");
        for (option, data) in options.iter().filter(|_| options.len() > 1) {
            made.push(Made { name: format!("{group}.{option}"), data: data.clone() });
        }
    }
    made
}

fn write(path: PathBuf, value: &Value) {
    let folder = path.parent().expect("below the root");
    fs::create_dir_all(folder).expect("new");
    fs::write(&path, value.to_string()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
}

/// Returns the root of a host whose systemd knows every option.
fn host() -> Root {
    let root = Root::empty();
    write(root.intents().join("host.json"), &json!({ "version": 1, "systemd": 262 }));
    root
}

/// Returns a root whose store has a profile with these data, and the intent that `create` makes of it.
fn created(data: &Value) -> (Root, Value) {
    let root = host();
    let below = |path: &str| root.path().join(path.trim_start_matches('/'));
    write(below(PROFILE).join("nixos-nspawn/data.json"), data);
    symlink(format!("{TOPLEVEL}/init"), below(PROFILE).join("init")).expect("a link");
    write(below(TOPLEVEL).join("init"), &Value::Null);
    let mut create = Command::new(&bins().ctl);
    create.arg("--root").arg(root.path()).args(["create", "web", "--profile", PROFILE]);
    let output = create.stdin(Stdio::null()).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let intent = fs::read(root.intents().join("web.json")).expect("an intent");
    let intent = serde_json::from_slice(&intent).expect("JSON");
    (root, intent)
}

/// Returns all units, without the plan hashes, which change with everything else.
fn units(root: &Root) -> Result<String, String> {
    let outcome = root.generate();
    if outcome.status != 0 {
        return Err(format!("exit status {}: {}", outcome.status, outcome.stderr));
    }
    let text = outcome.text();
    let marks = [("Environment=NIXOS_NSPAWN_PLAN=", "PLAN"), ("NetworkFile=", "NETWORK-PLAN")];
    Ok(marks.into_iter().fold(text.clone(), |masked, (setting, name)| {
        let mark = text.lines().find_map(|line| line.trim_start().strip_prefix(setting));
        mark.map_or(masked.clone(), |mark| masked.replace(mark, name))
    }))
}

/// Returns the units of a container, and the data in the intent that `create` made. A hand-written intent must give the
/// same units.
fn result(data: &Value) -> Result<(String, Value), String> {
    let (root, intent) = created(data);
    let units_of_profile = units(&root)?;

    let mut container = data.as_object().expect("an object").clone();
    assert_eq!(container.remove("version"), Some(json!(1)));
    let by_hand = host();
    let intent_by_hand = json!({ "version": 1, "toplevel": TOPLEVEL, "container": container });
    write(by_hand.intents().join("web.json"), &intent_by_hand);
    let units_by_hand = units(&by_hand)?;
    if units_of_profile != units_by_hand {
        return Err(format!("- profile\n+ by hand\n{}", difference(&units_of_profile, &units_by_hand)));
    }
    Ok((units_of_profile, intent["container"].clone()))
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/options")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON") + "\n"
}

#[test]
fn options_in_nix_become_units() {
    let made = made();
    let (default, _) = result(&made[0].data).unwrap_or_else(|why| panic!("no options: {why}"));
    // Most of the time is spent waiting for the disk.
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = made.iter().map(|made| scope.spawn(|| result(&made.data))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut failed = Vec::new();
    for (Made { name, data }, result) in made.iter().zip(results) {
        let check = || {
            let (units, intent) = result?;
            let mut text = "data.json\n".to_owned();
            indent(&mut text, &pretty(data));
            if intent != without_version(data) {
                text += "as the intent has it\n";
                indent(&mut text, &pretty(&intent));
            }
            if name.contains('.') {
                text += "changes\n";
                // The context shows the place in the file.
                let changes = difference(&default, &units);
                let lines: Vec<&str> =
                    changes.lines().map(|line| if line.starts_with("@@") { "@@" } else { line }).collect();
                indent(&mut text, &(lines.join("\n") + "\n"));
            } else {
                text += &units;
            }
            compare(&golden().join(name), &text)
        };
        failed.extend(check().err().map(|why| format!("== {name} ==\n{why}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));

    let expected: BTreeSet<String> = made.into_iter().map(|made| made.name).collect();
    let entries = fs::read_dir(golden()).expect("the expectations");
    let found = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"));
    for old in found.filter(|name| !expected.contains(name)) {
        assert!(blessing(), "{}/{old}: no container of that name", golden().display());
        fs::remove_file(golden().join(old)).expect("removed");
    }
}

fn without_version(data: &Value) -> Value {
    let fields = data.as_object().expect("an object").iter();
    let fields = fields.filter(|(name, _)| *name != "version");
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}
