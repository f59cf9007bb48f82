//! Intents with one thing changed.

use nixos_nspawn_units::intent::{Fault, Intent, parse};
use nixos_nspawn_units::name::MachineName;
use proptest::prelude::*;
use serde_json::Value;

use crate::arbitrary;

pub(crate) fn name(text: &str) -> MachineName {
    text.parse().unwrap()
}

pub(crate) fn parsed(value: &Value, name: &MachineName) -> Result<Intent, Fault> {
    parse(value.to_string().as_bytes(), name)
}

/// JSON with one thing changed: a value replaced, a field taken away or added.
pub(crate) fn mutated() -> impl Strategy<Value = Value> {
    let junk = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(Vec::<Value>::new())),
        Just(serde_json::json!({})),
        Just(serde_json::json!([["a", 1], {"b": null}])),
    ];
    (arbitrary::intent(), any::<prop::sample::Index>(), junk, any::<Option<String>>()).prop_map(
        |(mut value, at, junk, added)| {
            let mut pointers = Vec::new();
            collect(&value, String::new(), &mut pointers);
            let pointer = at.get(&pointers).clone();
            let target = value.pointer_mut(&pointer).unwrap();
            match (added, target) {
                (Some(field), Value::Object(fields)) => drop(fields.insert(field, junk)),
                (_, target) => *target = junk,
            }
            value
        },
    )
}

fn collect(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            collect(value, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), pointers);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| {
            collect(value, format!("{pointer}/{at}"), pointers);
        }),
        _ => {}
    }
    pointers.push(pointer);
}
