//! Compares the options of nix/options.nix with the reference made from them, the fields of an intent, and the code
//! that reads data.json. mkContainer is evaluated with tests/nix/stand-in in place of nixpkgs.

mod host_module;
mod messages;
mod systems;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nixos_nspawn_tests::golden::compare;
use nixos_nspawn_tests::nix::{PROJECT, evaluate, project};
use nixos_nspawn_tests::options_doc::{Documented, markdown, mdoc, options};
use nixos_nspawn_units::intent::{Container, parse, parse_data};
use serde_json::{Map, Value, json};

const LIB: &str = "import /project/tests/nix/stand-in/lib";

fn value(expression: String) -> Value {
    let result = evaluate(&[expression]).into_iter().next().expect("one result");
    result.unwrap_or_else(|said| panic!("{said}"))
}

/// Returns every option, as nix/options-doc.nix describes it.
fn documented() -> Vec<Documented> {
    options(&value(format!("import {PROJECT}/nix/options-doc.nix {{ lib = {LIB}; }}")))
}

/// Returns an expression that calls mkContainer with these arguments besides the modules.
fn container(arguments: &str, modules: &str, attribute: &str) -> String {
    format!(
        "((import {PROJECT}/nix/lib.nix {{ }}).mkContainer {{ {arguments} modules = [ {modules} ]; }}).{attribute}"
    )
}

/// Returns an expression that calls mkContainer for a container `web`, with nixpkgs or pkgs.
fn web(from: &str, modules: &str, attribute: &str) -> String {
    container(&format!("name = \"web\"; {from}"), modules, attribute)
}

const NIXPKGS: &str = "nixpkgs = /project/tests/nix/stand-in; system = \"x86_64-linux\";";
const PKGS: &str = "pkgs = import /project/tests/nix/stand-in { system = \"x86_64-linux\"; };";

#[test]
fn reference_is_current() {
    let options = documented();
    let mut old = Vec::new();
    for (made, file) in
        [(markdown(&options), "docs/options.md"), (mdoc(&options), "man/nixos-nspawn-options.5")]
    {
        let path = project().join(file);
        if std::env::var_os("NIXOS_NSPAWN_BLESS").is_some() {
            fs::write(&path, &made).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        if fs::read_to_string(&path).unwrap_or_default() != made {
            old.push(file);
        }
    }
    assert!(
        old.is_empty(),
        "{old:?}: not what tests/src/options_doc makes of nix/options.nix; \
         NIXOS_NSPAWN_BLESS=1 cargo test --test nix_options writes them"
    );
}

/// Each name is an option that `fromContainers` translates or refuses, and is in the migration guide.
#[test]
fn names_in_containers_are_known() {
    let names = value(format!("import {PROJECT}/nix/names-in-containers.nix"));
    let options: BTreeSet<String> = documented().into_iter().map(|option| option.name).collect();
    let translation = fs::read_to_string(project().join("nix/from-containers.nix")).expect("readable");
    let page = fs::read_to_string(project().join("docs/coming-from-containers.md")).expect("readable");
    for (option, theirs) in names.as_object().expect("an object") {
        let theirs = theirs.as_str().expect("a name");
        assert!(options.contains(option), "{option}: no such option");
        assert!(
            translation.contains(&format!("\"{theirs}\"")) || translation.contains(&format!("{theirs} = \"")),
            "{theirs}"
        );
        assert!(page.contains(&format!("`{theirs}")), "{theirs} is not on the page");
    }
}

/// Collects the properties below a schema by path; those of list elements follow a `*`. Free-form objects have none.
fn fields(root: &Value, schema: &Value, prefix: &str, found: &mut BTreeMap<String, bool>) {
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
        fields(root, root.pointer(pointer).expect("a definition"), prefix, found);
    }
    for one in ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten() {
        fields(root, one, prefix, found);
    }
    if let Some(items) = schema.get("items") {
        fields(root, items, &format!("{prefix}*."), found);
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, of) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let before = found.len();
        fields(root, of, &format!("{prefix}{name}."), found);
        let list = found.keys().any(|key| key.starts_with(&format!("{prefix}{name}.*.")));
        // An object of known fields is no option itself.
        if found.len() == before || list {
            found.insert(format!("{prefix}{name}"), required.contains(&name.as_str()));
        }
    }
}

#[test]
fn options_are_the_fields_of_a_container() {
    let schema = nixos_nspawn_units::schema();
    let mut known = BTreeMap::new();
    fields(&schema, &schema["$defs"]["Container"], "", &mut known);
    // Options that are not for users are not in the reference.
    known.remove("sharedNix");
    let mut options = BTreeMap::new();
    for option in documented() {
        for element in &option.elements {
            options.insert(format!("{}.*.{}", option.name, element.name), element.default.is_none());
        }
        options.insert(option.name, false);
    }
    // One stands for values of other options; the other is for `apply`, which reads it from the flake.
    options.remove("hardening");
    options.remove("hosts");
    let missing: Vec<_> = known.iter().filter(|field| options.get(field.0) != Some(field.1)).collect();
    let unknown: Vec<_> = options.iter().filter(|field| known.get(field.0) != Some(field.1)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "fields and whether they are required; no such option: {missing:?}; no such field: {unknown:?}"
    );
}

#[test]
fn known_names_are_current() {
    let path = project().join("nix/known.json");
    let known = serde_json::to_string_pretty(&nixos_nspawn_units::known_names()).expect("JSON") + "\n";
    compare(&path, &known).unwrap_or_else(|why| panic!("{why}"));
}

/// An omitted option means the same in Nix and in JSON, except for the one that is always written.
#[test]
fn defaults_are_those_of_a_container() {
    let mut data = Map::new();
    data.insert("version".into(), json!(1));
    for Documented { name, default, .. } in documented() {
        let mut default = default.unwrap_or_else(|| panic!("{name} has no default"));
        if name == "hardening" {
            assert_eq!(default, "default");
            continue;
        }
        if name == "hosts" {
            assert_eq!(default, Value::Null);
            continue;
        }
        if name == "userNamespacing" {
            assert_eq!(default.take(), true, "new containers have a user namespace");
            default = json!(false);
        }
        let mut place = &mut data;
        let (parents, last) =
            name.rsplit_once('.').map_or((None, name.as_str()), |(parents, last)| (Some(parents), last));
        for parent in parents.into_iter().flat_map(|parents| parents.split('.')) {
            place = place.entry(parent).or_insert_with(|| json!({})).as_object_mut().expect("an object");
        }
        place.insert(last.into(), default);
    }
    let reading =
        parse_data(Value::Object(data).to_string().as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    let defaults =
        Container { timeout_start_sec: Some("90s".parse().expect("a time span")), ..Container::default() };
    assert_eq!(reading.container, defaults);
}

/// The examples of the reference are accepted, by Nix and in JSON.
#[test]
fn examples_are_valid() {
    let options = documented();
    let examples: Vec<(&str, &Value)> =
        options.iter().filter_map(|option| Some((option.name.as_str(), option.example.as_ref()?))).collect();
    assert!(examples.len() > 30, "only {} options have an example", examples.len());
    let expressions: Vec<String> = examples
        .iter()
        .map(|(name, example)| {
            let module = format!("{{ nixosContainer.{name} = builtins.fromJSON ''{example}''; }}");
            format!("({})", web(NIXPKGS, &module, "data"))
        })
        .collect();
    let data = value(format!("[ {} ]", expressions.join(" ")));
    for (data, (name, example)) in data.as_array().expect("a list").iter().zip(examples) {
        assert!(data.as_object().expect("an object").len() > 1, "{name}: {example} is its default");
        let mut data = data.clone();
        data.as_object_mut().expect("an object").remove("version");
        let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05";
        let intent = json!({ "version": 1, "toplevel": toplevel, "container": data }).to_string();
        parse(intent.as_bytes(), &"web".parse().expect("a name"))
            .unwrap_or_else(|fault| panic!("{name}: {example}: {fault}"));
    }
}

/// The value of every option that Nix writes is read, and nothing is lost on the way.
#[test]
fn every_option_reaches_the_intent() {
    let every = value(format!("import {PROJECT}/tests/nix/every-option.nix"));
    let every = every.as_object().expect("containers");
    let mut set = BTreeSet::new();
    let expressions: Vec<String> = every
        .keys()
        .flat_map(|name| {
            let module =
                format!("{{ nixosContainer = (import {PROJECT}/tests/nix/every-option.nix).{name}; }}");
            [NIXPKGS, PKGS].map(|from| web(from, &module, "data"))
        })
        .collect();
    let results = evaluate(&expressions);
    for (results, (name, options)) in results.chunks(2).zip(every) {
        let data = results[0].as_ref().unwrap_or_else(|said| panic!("{name}: {said}"));
        assert_eq!(Some(data), results[1].as_ref().ok(), "{name}: the same by nixpkgs and by pkgs");
        set.extend(leaves(options, ""));
        let reading =
            parse_data(data.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{name}: {fault}: {data}"));
        assert!(reading.warnings.is_empty());
        // Some values are written in another form, but every value other than the default is present.
        let read = serde_json::to_value(&reading.container).expect("serializable");
        let lost = |path: &String| {
            let pointer = format!("/{}", path.replace('.', "/"));
            path != "version" && read.pointer(&pointer).is_none()
        };
        let lost: Vec<String> = leaves(data, "").into_iter().filter(lost).collect();
        assert!(lost.is_empty(), "{name}: not read: {lost:?}");
    }
    for Documented { name, .. } in documented() {
        let used = set.iter().any(|path| *path == name || path.starts_with(&format!("{name}.")));
        assert!(used || name == "declarative", "tests/nix/every-option.nix does not set {name}");
    }
}

/// Returns the paths of all values that are not objects.
fn leaves(value: &Value, prefix: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| leaves(value, &format!("{prefix}.{name}"))).collect()
        }
        _ => vec![prefix.trim_start_matches('.').to_owned()],
    }
}
