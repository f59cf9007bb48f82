#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

use std::fmt;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Kind, check, find, line_and_column, read};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(name(), inner, 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Pieces of JSON, right and wrong, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"",
        "\\",
        "\\u00e4",
        "\\ud83d",
        "\\ude00",
        "0",
        "1",
        "-",
        ".",
        "e",
        "E",
        "+",
        "null",
        "true",
        "false",
        "nul",
        " ",
        "\n",
        "\t",
        "\u{b}",
        "ä",
        "\u{0}",
        "[1,",
        "{\"a\":",
        "{\"b\":",
        "}}",
        "]]",
        "9223372036854775808",
        "1e400",
    ]);
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// JSON with a byte replaced, or cut off.
fn damaged() -> impl Strategy<Value = String> {
    (value(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(value, at, byte, cut)| {
        let mut bytes = serde_json::to_vec_pretty(&value).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at)
        } else {
            bytes[at] = byte
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Returns whether two values are the same; serde_json reads some floats a little off.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= one.abs() * 1e-12
        }
        _ => one == other,
    }
}

/// Checks that serde_json and we read the same values from the same texts, except for repeated names.
fn agrees(text: &str) -> Result<(), TestCaseError> {
    match (serde_json::from_str::<Value>(text), read::<Value>(text)) {
        (Ok(theirs), Ok(ours)) => prop_assert!(same(&theirs, &ours), "{text:?}: {theirs} {ours}"),
        (Err(_), Err(error)) => {
            prop_assert!(error.offset() <= text.len() && text.is_char_boundary(error.offset()), "{text:?}");
        }
        (Ok(_), Err(error)) => {
            let is_stricter = matches!(error.kind(), Kind::DuplicateField(_));
            prop_assert!(is_stricter && check(text).is_ok(), "{text:?}: {error}");
            return Ok(());
        }
        (Err(error), Ok(_)) => prop_assert!(false, "{text:?}: {error}"),
    }
    prop_assert_eq!(check(text).is_ok(), read::<Value>(text).is_ok(), "{:?}", text);
    Ok(())
}

/// Any value; its string POISON is refused.
#[derive(Debug)]
struct Poisoned;

const POISON: &str = "poison";

impl<'de> Deserialize<'de> for Poisoned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Poisoned;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("any value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Poisoned, E> {
                Ok(Poisoned)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Poisoned, E> {
                Ok(Poisoned)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Poisoned, E> {
                Ok(Poisoned)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Poisoned, E> {
                Ok(Poisoned)
            }

            fn visit_unit<E>(self) -> Result<Poisoned, E> {
                Ok(Poisoned)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Poisoned, E> {
                if text == POISON { Err(E::custom(POISON)) } else { Ok(Poisoned) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Poisoned, A::Error> {
                while list.next_element::<Poisoned>()?.is_some() {}
                Ok(Poisoned)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Poisoned, A::Error> {
                while let Some(name) = map.next_key::<String>()? {
                    if name == POISON {
                        return Err(A::Error::custom("a name"));
                    }
                    map.next_value::<Poisoned>()?;
                }
                Ok(Poisoned)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Puts the poison into one place of a value and returns its path.
fn poison(value: &mut Value, way: &[prop::sample::Index]) -> String {
    let rest = way.get(1..).unwrap_or_default();
    match (value, way.first()) {
        (Value::Array(list), Some(at)) if !list.is_empty() => {
            let at = at.index(list.len());
            let below = poison(&mut list[at], rest);
            if below.is_empty() || below.starts_with('[') {
                format!("[{at}]{below}")
            } else {
                format!("[{at}].{below}")
            }
        }
        (Value::Object(fields), Some(at)) if !fields.is_empty() => {
            let name = fields.keys().nth(at.index(fields.len())).unwrap().clone();
            let below = poison(&mut fields[&name], rest);
            if below.is_empty() || below.starts_with('[') { name + &below } else { format!("{name}.{below}") }
        }
        (value, _) => {
            *value = Value::from(POISON);
            String::new()
        }
    }
}

proptest! {
    #[test]
    fn any_text(text: String) {
        agrees(&text)?;
    }

    #[test]
    fn any_pieces(text in pieces()) {
        agrees(&text)?;
    }

    #[test]
    fn any_value(value in value()) {
        agrees(&value.to_string())?;
        agrees(&serde_json::to_string_pretty(&value).unwrap())?;
    }

    #[test]
    fn any_damage(text in damaged()) {
        agrees(&text)?;
    }

    /// An error is at the value that is refused, with its path.
    #[test]
    fn places_of_errors(mut value in value(), way in vec(any::<prop::sample::Index>(), 0..5)) {
        prop_assume!(!value.to_string().contains(POISON));
        let path = poison(&mut value, &way);
        let text = serde_json::to_string_pretty(&value).unwrap();
        let error = read::<Poisoned>(&text).unwrap_err();
        let at = text.find("\"poison\"").unwrap();
        prop_assert_eq!(error.offset(), at);
        // A name that begins with a bracket, or an empty one, cannot be distinguished from an index of a list.
        if !way.is_empty() && !value.to_string().contains(['[', '.']) && !value.to_string().contains("\"\":") {
            prop_assert_eq!(error.field(), path);
        }
        let (line, column) = line_and_column(&text, at);
        let found = text.lines().nth(line - 1).unwrap();
        prop_assert!(found.chars().skip(column - 1).collect::<String>().starts_with("\"poison\""), "{}", found);
    }

    /// A value is found at the names that lead to it.
    #[test]
    fn values_are_found(value in value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let mut rest = vec![(Vec::new(), &value)];
        while let Some((path, value)) = rest.pop() {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            let found = find(&text, &names).unwrap();
            prop_assert!(same(&serde_json::from_str::<Value>(found.text).unwrap(), value));
            prop_assert!(text[found.at..].starts_with(found.text));
            if let Value::Object(fields) = value {
                rest.extend(fields.iter().map(|(name, value)| ([path.clone(), vec![name.clone()]].concat(), value)));
            }
        }
    }
}
