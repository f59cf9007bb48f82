//! The JSON Schema of an intent: the committed one is current, and it agrees with the types about every golden input, except
//! for rules that no schema can express. The validator is python3-jsonschema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nixos_nspawn_tests::golden::{cases, compare};
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::name::MachineName;

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
