//! Formats values as Nix expressions.

use serde_json::Value;

/// Returns a value as a Nix expression, on one line if it is short.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Array(values) => brackets('[', ']', &values.iter().map(shown).collect::<Vec<_>>()),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let parts: Vec<_> =
                fields.into_iter().map(|(name, value)| format!("{name} = {};", shown(value))).collect();
            brackets('{', '}', &parts)
        }
        _ => value.to_string(),
    }
}

fn brackets(open: char, close: char, parts: &[String]) -> String {
    match parts {
        [] => format!("{open} {close}"),
        [part] if !part.contains('\n') && part.chars().count() <= 56 => format!("{open} {part} {close}"),
        _ => format!("{open}\n  {}\n{close}", parts.join("\n").replace('\n', "\n  ")),
    }
}
