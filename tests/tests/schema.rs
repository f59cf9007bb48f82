//! The JSON Schema of an intent: the committed one is current, and it agrees with the types about every golden input, except
//! for rules that no schema can express. The validator is python3-jsonschema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nixos_nspawn_tests::golden::{cases, compare};
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::name::MachineName;
use serde_json::Value;

/// Files that the schema accepts and the types refuse, by the beginning of case and name, with the reason.
const BEYOND_A_SCHEMA: &[(&str, &str)] = &[
    ("hostile-reload-script ", "a path of an executable is restricted further than can be read in a pattern"),
    ("hostile-noncharacters ", "patterns for characters beyond 16 bits are not portable"),
    (
        "fields-toplevel-bad newline",
        "the validator takes `$` for the end of a line, ECMA 262 for that of the text",
    ),
    ("fields-unknown setting", "settings of .nspawn files are not listed"),
    ("fields-bad-values free-", "free-form settings are checked as the lines they become"),
    ("fields-bad-values port-text-", "numbers and addresses in a text are more than a pattern can say"),
    ("fields-bad-values port-address-", "what an address is, is more than a pattern can say"),
    ("mounts-bind-bad ", "a bind mount is text with a syntax of its own"),
    ("fields-rules ", "a rule about several fields"),
    ("fields-name-differs ", "a schema does not know the file's name"),
    ("fields-duplicate ", "a schema sees the last of two"),
    ("hostile-control-characters bind-", "a bind mount is text with a syntax of its own"),
    (
        "hostile-control-characters bridge",
        "the validator takes `$` for the end of a line, ECMA 262 for that of the text",
    ),
    ("hostile-control-characters c1", "a bind mount is text with a syntax of its own"),
    ("credentials-bad reset", "free-form settings are checked as the lines they become"),
    ("credentials-bad twice", "a rule about several credentials"),
    ("ordering-cycle own", "a schema does not know the file's name"),
    ("ordering-bad self", "a schema does not know the file's name"),
    ("hostile-control-characters free-", "free-form settings are checked as the lines they become"),
    ("network-rules ", "a rule about several fields"),
    ("network-bad-values dots", "components of a path are not told apart"),
    ("network-bad-values edge-blank", "free-form settings are checked as the lines they become"),
    ("network-bad-values extra-", "lines of a .network file have a syntax of their own"),
    ("network-bad-values lines", "free-form settings are checked as the lines they become"),
    (
        "network-bad-values older-twice",
        "a schema does not know that one attribute is the contents of the other",
    ),
    ("limits-bad memory-share", "a percentage is bounded as a number, not as text"),
    ("limits-bad quota-zero", "a percentage is bounded as a number, not as text"),
    ("limits-bad rlimit-", "what a resource limit may be depends on its name"),
    ("exec-bad capability-both", "a rule about several fields"),
    ("exec-bad capability-unknown", "the names of capabilities are not listed"),
    ("exec-bad environment-container", "what nspawn sets is not listed"),
    ("exec-bad environment-nspawn", "what nspawn sets is not listed"),
    ("exec-bad environment-twice", "a schema sees the last of two"),
    ("mounts-bad bind-", "places are compared, and a bind mount may be text with a syntax of its own"),
    ("mounts-bad device-", "places are compared, and a device may be text with a syntax of its own"),
    ("mounts-bad hidden-", "places are compared"),
    (
        "mounts-bad tmpfs-",
        "places are compared, and a temporary file system is text with a syntax of its own",
    ),
];

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/nixos-nspawn.schema.json");
    let schema = serde_json::to_string_pretty(&nixos_nspawn_units::schema()).expect("JSON") + "\n";
    compare(&path, &schema).unwrap_or_else(|difference| panic!("{difference}"));
}

/// Each command that answers in JSON has a schema of its answer in docs/json.
#[test]
fn the_committed_schemas_of_answers_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json");
    let mut expected = BTreeSet::new();
    for (verb, schema) in nixos_nspawn_ctl::schemas() {
        let name = format!("{verb}.schema.json");
        let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        compare(&folder.join(&name), &text).unwrap_or_else(|difference| panic!("{difference}"));
        expected.insert(name);
    }
    let found: BTreeSet<String> = fs::read_dir(&folder)
        .expect("docs/json")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, expected);
}

/// Keys that are of another kind in some answers, with the reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("action", "setup has steps, and the others what happens to a container"),
    ("add", "an option's items, and the capabilities in a container's options"),
    ("deleted", "numbers of generations, and paths"),
    ("files", "what is generated, what differs, and how many were checked"),
    ("host_reach", "what a container reaches, and what changes in that"),
    ("kept", "generations that a pattern spares, and the path of a state"),
    ("left_out", "settings of a profile, and files of an archive"),
    ("options", "those of a container, what differs in them, and those of an import"),
    ("result", "that of a command, and systemd's Result= of a unit"),
    ("snapshot", "one that was made, and a container's option"),
    ("snapshots", "those of a generation, and the path of all"),
    ("source", "what a container is built from, and the source of a bind mount"),
    ("version", "the release of NixOS, and that of the format of an intent"),
];

/// Keys of times.
const TIMES: [&str; 3] = ["date", "since", "time"];

/// A key means the same in every answer, and times look alike.
#[test]
fn keys_and_times_are_the_same_in_every_answer() {
    let mut kinds: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (verb, schema) in nixos_nspawn_ctl::schemas() {
        properties(&schema, &mut |key, of| {
            let is_time = TIMES.contains(&key);
            assert_eq!(
                of.get("pattern").is_some_and(|one| one.to_string().contains("T[0-9]")),
                is_time,
                "{verb}: {key}"
            );
            kinds.entry(key.to_owned()).or_default().insert(kind(&schema, of), verb.to_owned());
        });
    }
    let differing = kinds.iter().filter(|(_, kinds)| kinds.len() > 1);
    let differing: BTreeMap<&str, _> = differing.map(|(key, kinds)| (key.as_str(), kinds)).collect();
    let allowed: BTreeSet<&str> = OTHERWISE.iter().map(|(key, _)| *key).collect();
    let found: BTreeSet<&str> = differing.keys().copied().collect();
    assert_eq!(found, allowed, "{differing:#?}");
}

/// Calls `seen` with each property in a schema.
fn properties<'a>(schema: &'a Value, seen: &mut dyn FnMut(&'a str, &'a Value)) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(own)) = object.get("properties") {
                own.iter().for_each(|(key, of)| seen(key, of));
            }
            object.values().for_each(|inner| properties(inner, seen));
        }
        Value::Array(list) => list.iter().for_each(|inner| properties(inner, seen)),
        _ => {}
    }
}

/// Returns what kind of value a schema describes: its types without null, or the definition that it refers to.
fn kind(root: &Value, of: &Value) -> String {
    let inner = |of: &Value| kind(root, of);
    if let Some(name) = of["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect("a definition");
        let composed =
            ["properties", "enum", "oneOf", "anyOf"].iter().any(|part| target.get(*part).is_some());
        let words = words(target);
        return if composed { format!("{name}{}", words.join("|")) } else { inner(target) };
    }
    let of_parts = |parts: &Vec<Value>| {
        let kinds: BTreeSet<String> = parts.iter().map(inner).filter(|kind| kind != "null").collect();
        kinds.into_iter().collect::<Vec<_>>().join(" or ")
    };
    if let Some(parts) = ["anyOf", "oneOf"].iter().find_map(|one| of[*one].as_array()) {
        return of_parts(parts);
    }
    let types = match &of["type"] {
        Value::Array(types) => types.iter().find(|one| *one != "null").cloned().unwrap_or_default(),
        other => other.clone(),
    };
    match types.as_str() {
        Some("array") => format!("array of {}", inner(&of["items"])),
        Some(one) => one.to_owned(),
        None if of.get("const").is_some() => "string".to_owned(),
        None => "any".to_owned(),
    }
}

/// Returns the words of an enumeration; nothing for other schemas.
fn words(of: &Value) -> Vec<String> {
    let list = |key: &str| of[key].as_array().into_iter().flatten();
    let one = |value: &Value| value.as_str().map(|word| format!(" {word}"));
    let consts = list("oneOf").filter_map(|part| one(&part["const"]));
    let enums = list("oneOf").filter_map(|part| part["enum"].as_array()).flatten();
    consts.chain(enums.chain(list("enum")).filter_map(one)).collect()
}

#[test]
fn schema_and_types_agree_on_golden_inputs() {
    let work = tempfile::tempdir().expect("temporary folder");
    fs::write(work.path().join("schema"), nixos_nspawn_units::schema().to_string()).expect("written");
    let mut by_types = BTreeMap::new();
    for case in cases() {
        let root = case.root();
        for directory in [root.intents(), root.intents().join("declarative.d")] {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let file = entry.file_name().to_string_lossy().into_owned();
                let Some(name) = file.strip_suffix(".json").filter(|name| *name != "host") else { continue };
                // A schema cannot judge what is not JSON.
                let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
                let bytes = if regular { fs::read(entry.path()).expect("readable") } else { continue };
                let Ok(name) = name.parse::<MachineName>() else { continue };
                if serde_json::from_slice::<serde_json::Value>(&bytes).is_err() {
                    continue;
                }
                let label = format!("{} {name}", case.name);
                fs::write(work.path().join(format!("{label}.json")), &bytes).expect("written");
                by_types.insert(label, parse(&bytes, &name).map(drop).map_err(|fault| fault.to_string()));
            }
        }
    }
    let by_schema = accepted_by_schema(work.path());
    let mut differences = Vec::new();
    let mut used = BTreeSet::new();
    for (label, verdict) in &by_types {
        match (verdict, by_schema.contains(label)) {
            (Ok(()), false) => differences.push(format!("{label}: only the schema refuses it")),
            (Err(fault), true) => match BEYOND_A_SCHEMA.iter().find(|(start, _)| label.starts_with(start)) {
                Some((start, _)) => drop(used.insert(*start)),
                None => differences.push(format!("{label}: only the types refuse it: {fault}")),
            },
            _ => {}
        }
    }
    let unused = BEYOND_A_SCHEMA.iter().filter(|(start, _)| !used.contains(start));
    differences.extend(unused.map(|(start, _)| format!("'{start}' is in the table for nothing")));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Returns the files in `directory` that the schema there accepts.
fn accepted_by_schema(directory: &Path) -> BTreeSet<String> {
    let script = "
import json, pathlib, sys
import jsonschema
here = pathlib.Path(sys.argv[1])
schema = json.loads((here / 'schema').read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in here.glob('*.json'):
    if validator.is_valid(json.loads(path.read_text())):
        print(path.name[:-len('.json')])
";
    let output = ["python3", "/usr/bin/python3"]
        .iter()
        .map(|python| Command::new(python).args(["-c", script]).arg(directory).stdin(Stdio::null()).output())
        .find(|output| output.as_ref().is_ok_and(|output| output.status.success()));
    let output = output.and_then(Result::ok).expect("python3 with jsonschema (Debian: python3-jsonschema)");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}
