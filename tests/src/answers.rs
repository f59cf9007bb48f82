//! What commands print with `--json` is what their schemas in docs/json promise, and has no keys beyond that. The validator is
//! python3-jsonschema.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

/// Reads a schema and an answer, and prints what the schema forbids.
const VALIDATE: &str = "
import json, sys, jsonschema
given = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(given['schema'])
for error in jsonschema.Draft202012Validator(given['schema']).iter_errors(given['answer']):
    print(f'{error.json_path}: {error.message[:2000]}')
    for inner in sorted(error.context or [], key=jsonschema.exceptions.relevance):
        print(f'  {inner.json_path}: {inner.message[:500]}')
";

/// Checks the answer of a command that was called with these arguments.
///
/// # Panics
///
/// If the answer is not what the schema promises.
pub fn check(arguments: &[&str], succeeded: bool, stdout: &str) {
    if !arguments.contains(&"--json") || (stdout.is_empty() && !succeeded) {
        return;
    }
    let Some((verb, schema)) = arguments.iter().find_map(|word| schemas().get_key_value(*word)) else {
        panic!("{arguments:?}: docs/json has no schema of this command");
    };
    let answer: Value =
        serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"));
    let wrong = faults(schema, &answer);
    assert!(
        wrong.is_empty(),
        "{arguments:?} does not print what docs/json/{verb}.schema.json says: {wrong}\n{stdout}"
    );
}

/// Returns the differences between an answer and a schema as text, empty if there are none.
pub fn faults(schema: &Value, answer: &Value) -> String {
    let given = json!({ "schema": schema, "answer": answer }).to_string();
    let mut said = String::new();
    for python in ["python3", "/usr/bin/python3"] {
        let mut child = Command::new(python)
            .args(["-c", VALIDATE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3");
        // A Python without the module ends before it reads.
        let _ = child.stdin.take().expect("piped").write_all(given.as_bytes());
        let output = child.wait_with_output().expect("python3");
        if output.status.success() {
            return String::from_utf8(output.stdout).expect("UTF-8");
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    panic!("python3 with jsonschema is needed (Debian: python3-jsonschema): {said}")
}

/// Returns the schemas of docs/json by command, as schemas that allow no further keys.
fn schemas() -> &'static BTreeMap<String, Value> {
    static SCHEMAS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json");
        let files = fs::read_dir(folder).expect("docs/json").map(|entry| entry.expect("an entry").path());
        let schema = |file: PathBuf| {
            let name = file.file_name()?.to_str()?.strip_suffix(".schema.json")?.to_owned();
            let mut schema = serde_json::from_slice(&fs::read(&file).ok()?).expect("JSON");
            close(&mut schema);
            Some((name, schema))
        };
        files.filter_map(schema).collect()
    })
}

/// Forbids further properties of objects.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            let composed = |object: &Map<String, Value>| {
                ["anyOf", "allOf", "oneOf"].iter().any(|key| object.contains_key(*key))
            };
            if object.get("properties").is_some_and(Value::is_object)
                && object.get("type") == Some(&json!("object"))
                && !composed(object)
            {
                object.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "does not print what docs/json/hold.schema.json says")]
    fn other_keys_are_refused() {
        check(
            &["hold", "web", "--json"],
            true,
            r#"{"name":"web","dry_run":false,"held":null,"changed":true,"more":1}"#,
        );
    }

    #[test]
    #[should_panic(expected = "'changed' is a required property")]
    fn keys_are_required() {
        check(&["hold", "web", "--json"], true, r#"{"name":"web","dry_run":false,"held":null}"#);
    }

    #[test]
    fn what_is_promised_is_accepted() {
        check(
            &["hold", "web", "--json"],
            true,
            r#"{"name":"web","dry_run":false,"held":null,"changed":true}"#,
        );
        check(&["hold", "web", "--json"], false, "");
        check(&["hold", "web"], true, "text");
    }
}
