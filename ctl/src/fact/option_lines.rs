//! Formats options as lines of text.

use serde_json::Value;

/// Returns `name = value` lines, one for each item of a list.
pub(crate) fn option_lines(options: &Value) -> Vec<String> {
    fn add(lines: &mut Vec<String>, name: &str, value: &Value) {
        match value {
            Value::Object(fields) if !name.ends_with("NetworkConfig") => {
                let dotted =
                    |key: &String| if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                fields.iter().for_each(|(key, value)| add(lines, &dotted(key), value));
            }
            Value::Array(items) => {
                items.iter().for_each(|item| lines.push(format!("{name} = {}", one(item))));
            }
            other => lines.push(format!("{name} = {}", one(other))),
        }
    }
    let mut lines = Vec::new();
    if !options.is_null() {
        add(&mut lines, "", options);
    }
    lines
}

fn one(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
