//! Walks all options: no change that widens the reach passes unseen, in either direction, and the table of docs/reach.md
//! says what it is. A new option, a new part of one, or a new choice fails here until it has cases.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_units::reach::changes;
use serde_json::{Value, json};

use super::cases::{Case, Either, More, Same, cases, choices};
use super::{container, set, table};

/// Returns the options of one side of a case. How owners are mapped only matters in a user namespace.
fn options(option: &str, value: &Value) -> Value {
    let mut options = set(option, value);
    if value.to_string().contains("\"idmap\"") {
        options["userNamespacing"] = json!(true);
    }
    options
}

#[test]
fn no_change_that_widens_the_reach_passes_unseen() {
    let (mut widening, mut unseen, mut same) = (0, Vec::new(), 0);
    for (option, is, one, other) in cases() {
        let [old, new] = [&one, &other].map(|value| container(options(option, value)));
        let (there, back) = (changes(&old, &new), changes(&new, &old));
        let right = match is {
            More => there.adds() && back.only_takes_away(),
            Either => there.adds() && back.adds(),
            Same => there.is_empty() && back.is_empty(),
        };
        match is {
            More => widening += 1,
            Either => widening += 2,
            Same => same += 1,
        }
        if !right {
            unseen.push(format!("{option}: {one} to {other} is not {is:?}: {there:?}, back {back:?}"));
        }
    }
    eprintln!("{widening} changes that widen the reach, {} unseen; {same} that do not", unseen.len());
    assert!(unseen.is_empty(), "{unseen:#?}");
    assert!(widening >= 104 && same > 30, "too few cases: {widening}, {same}");
}

/// Every option of the table has cases of the kind that the table says, from its default and back to it.
#[test]
fn cases_are_those_of_the_table() {
    let cases = cases();
    let of: BTreeSet<&str> = cases.iter().map(|(option, ..)| *option).collect();
    let table: BTreeMap<String, String> = table().into_iter().collect();
    assert_eq!(of, table.keys().map(String::as_str).collect::<BTreeSet<_>>());
    for (option, kind) in &table {
        let own: Vec<&Case> = cases.iter().filter(|case| case.0 == option).collect();
        let any = |wanted: &dyn Fn(&Case) -> bool| own.iter().any(|case| wanted(case));
        let given = any(&|(_, is, one, _)| *is != Same && one.is_null());
        let lifted = any(&|(_, is, _, other)| *is != Same && other.is_null() || *is == Either);
        let right = match kind.as_str() {
            "none" => own.iter().all(|case| case.1 == Same),
            "gives" => given,
            "restricts" | "limits" => lifted || given,
            "gives, restricts" => given && lifted,
            "either" | "gives, either" => given && any(&|case| case.1 == Either),
            other => panic!("{option}: '{other}' is explained nowhere"),
        };
        assert!(right, "{option} counts as '{kind}', which its cases do not show: {own:?}");
    }
}

/// Every part of the objects that an option consists of is changed alone, and every choice occurs.
#[test]
fn cases_change_every_part_and_every_choice() {
    let schema = nixos_nspawn_units::schema();
    let cases = cases();
    for (option, property) in schema["$defs"]["Container"]["properties"].as_object().expect("the options") {
        let own = || cases.iter().filter(|case| case.0.split('.').next() == Some(option));
        let (mut parts, mut all) = (BTreeSet::new(), Vec::new());
        described(&schema, property, &mut parts, &mut all);
        let text: String = own().map(|(_, _, one, other)| format!("{one}{other}")).collect();
        for choice in all {
            assert!(text.contains(&choice.to_string()), "{option}: {choice} occurs in no case");
        }
        for part in parts {
            let alone = own().any(|(name, _, one, other)| {
                let differs = [one, other].map(|value| match value.as_array().map(Vec::as_slice) {
                    Some([only]) => only.clone(),
                    _ => value.clone(),
                });
                let without = differs.clone().map(|mut value| {
                    value.as_object_mut().map(|object| object.remove(&part));
                    value
                });
                name.ends_with(&format!(".{part}"))
                    || differs.iter().any(|value| value.get(&part).is_some())
                        && differs[0] != differs[1]
                        && (without[0] == without[1] || one.is_null())
            });
            assert!(alone, "{option}: no case changes '{part}' alone");
        }
    }
}

/// Collects the parts and choices of the objects that a schema refers to.
fn described(whole: &Value, schema: &Value, parts: &mut BTreeSet<String>, all: &mut Vec<Value>) {
    all.extend(choices(schema));
    if let Some(properties) = schema["properties"].as_object() {
        parts.extend(properties.keys().cloned());
        properties.values().for_each(|one| described(whole, one, parts, all));
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
        described(whole, &whole["$defs"][name], parts, all);
    }
    let several = ["anyOf", "oneOf"].iter().filter_map(|key| schema[key].as_array()).flatten();
    several.chain([&schema["items"]]).filter(|one| one.is_object()).for_each(|one| {
        described(whole, one, parts, all);
    });
}
