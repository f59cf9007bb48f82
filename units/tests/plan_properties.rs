//! Properties of intents and plans: no input makes them panic, what parses can be planned and is written the same again,
//! the order of intents makes no difference, and one intent never touches what another gets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

mod arbitrary;

use std::collections::BTreeMap;

use nixos_nspawn_units::intent::{Fault, Intent, parse, parse_data, reads_as_autostart};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, plan};
use nixos_nspawn_units::store::{Host, Kind, LoadError, Loaded, Stored};
use nixos_nspawn_units::syntax;
use nixos_nspawn_units::write::write_plan;
use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::Value;

fn name(text: &str) -> MachineName {
    text.parse().unwrap()
}

fn parsed(value: &Value, name: &MachineName) -> Result<Intent, Fault> {
    parse(value.to_string().as_bytes(), name)
}

/// A loaded directory: good and bad intents, all their names different.
fn loaded(values: &[Value]) -> Loaded {
    let mut loaded = Loaded { host: Host::default(), ..Loaded::default() };
    for (at, value) in values.iter().enumerate() {
        // Long names are shortened for interfaces, with the same first letters.
        let name = name(&format!("container-{at}"));
        let path = format!("/etc/nixos-nspawn/{name}.json");
        let kind = Kind::Imperative;
        match parsed(value, &name) {
            Ok(intent) => loaded.intents.push(Stored { name, kind, path, intent }),
            Err(fault) => loaded.errors.push(LoadError {
                path,
                autostart: reads_as_autostart(value.to_string().as_bytes()).unwrap_or(true),
                name: Some(name),
                kind,
                fault,
                shadowed: false,
            }),
        }
    }
    loaded
}

/// What belongs to one container.
fn files_of(loaded: &Loaded, name: &MachineName) -> BTreeMap<String, Entry> {
    let unit = format!("systemd-nspawn@{name}.service");
    let own = [
        format!("nixos-nspawn/{name}.nspawn"),
        format!("nixos-nspawn/{name}.refused"),
        format!("nixos-nspawn/50-nixos-nspawn-{name}.network"),
    ];
    let of = |path: &str| {
        own.contains(&path.to_owned()) || path.split('/').any(|part| part.trim_end_matches(".d") == unit)
    };
    plan(loaded).files.into_iter().filter(|(path, _)| of(path)).collect()
}

/// A warning about a neighbour is a comment, and comments tell systemd nothing.
fn without_comments(files: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    let text = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("# warning:"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    files
        .into_iter()
        .map(|(path, entry)| match entry {
            Entry::File(contents) => (path, Entry::File(text(&contents))),
            Entry::Link(target) => (path, Entry::Link(target)),
        })
        .collect()
}

/// JSON with one thing changed: a value replaced, a field taken away or added.
fn mutated() -> impl Strategy<Value = Value> {
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

proptest! {
    /// Whatever the bytes are, the answer is an intent or one line that says why not.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        for answer in [parse(&bytes, &name("web")).map(drop), parse_data(&bytes).map(drop)] {
            if let Err(fault) = answer {
                prop_assert!(!fault.to_string().contains(char::is_control), "{fault}");
            }
        }
        reads_as_autostart(&bytes);
    }

    #[test]
    fn any_change_of_a_good_intent(value in mutated()) {
        match parsed(&value, &name("web")) {
            Ok(_) => {}
            Err(fault) => {
                let text = fault.to_string();
                prop_assert!(!text.contains(char::is_control) && !text.is_empty(), "{text:?}");
                prop_assert!(!text.contains("internal") && !text.contains("untagged"), "{text:?}");
            }
        }
        let mut data = value["container"].clone();
        parse_data(data.to_string().as_bytes()).map(drop).unwrap_or_default();
        if let Value::Object(fields) = &mut data {
            fields.insert("version".to_owned(), 1.into());
            let _ = parse_data(data.to_string().as_bytes());
        }
    }

    /// Cut off and overwritten anywhere, as by a full disk.
    #[test]
    fn any_damage(value in arbitrary::intent(), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Err(fault) = parse(&bytes, &name("web")) {
            prop_assert!(!fault.to_string().contains(char::is_control), "{fault}");
        }
    }

    /// What validates can be written, and is read back by a parser like systemd's as what it is: no refusal behind the
    /// door, no warning, no line more.
    #[test]
    fn what_parses_renders(value in arbitrary::intent()) {
        let web = name("web");
        let Ok(intent) = parsed(&value, &web) else { return Ok(()) };
        let stored = Stored { name: web, kind: Kind::Imperative, path: "/etc/nixos-nspawn/web.json".to_owned(), intent };
        let plan = plan(&Loaded { intents: vec![stored], ..Loaded::default() });
        prop_assert_eq!(&plan.containers[0].refusal, &None);
        for (path, entry) in &plan.files {
            let Entry::File(text) = entry else { continue };
            let parsed = syntax::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(parsed.warnings, vec![], "{}", path);
            prop_assert_eq!(&parsed.file.without_comments().to_string(), &without_comment_lines(text), "{}", path);
        }
    }

    /// What is recorded is what was meant.
    #[test]
    fn intents_are_read_back_as_written(value in arbitrary::intent()) {
        let web = name("web");
        let Ok(intent) = parsed(&value, &web) else { return Ok(()) };
        let text = intent.to_json().unwrap();
        let again = parse(text.as_bytes(), &web);
        prop_assert_eq!(again.as_ref(), Ok(&intent), "{}", text);
        prop_assert_eq!(again.unwrap().to_json().unwrap(), text);
        // A profile's data.json gives the same options.
        let mut container = serde_json::to_value(&intent.container).unwrap();
        container["version"] = 1.into();
        prop_assert_eq!(parse_data(container.to_string().as_bytes()).unwrap().container, intent.container);
    }

    /// Folders list their entries in any order.
    #[test]
    fn order_makes_no_difference(values in vec(mostly_good(), 0..8), order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle()) {
        let sorted = loaded(&values);
        let mut shuffled = sorted.clone();
        let place = |path: &str| order[path.bytes().filter(u8::is_ascii_digit).map(usize::from).sum::<usize>() % 8];
        shuffled.intents.sort_by_key(|stored| place(&stored.path));
        shuffled.errors.sort_by_key(|error| place(&error.path));
        prop_assert_eq!(plan(&sorted), plan(&shuffled));
    }

    /// An intent gets the same with any neighbours, good and bad, as without any.
    #[test]
    fn neighbours_make_no_difference(values in vec(mostly_good(), 1..6)) {
        let all = loaded(&values);
        for stored in &all.intents {
            let alone = Loaded { intents: vec![stored.clone()], ..Loaded::default() };
            assert_eq!(
                without_comments(files_of(&all, &stored.name)),
                without_comments(plan(&alone).files)
            );
        }
        for error in &all.errors {
            let alone = Loaded { errors: vec![error.clone()], ..Loaded::default() };
            assert_eq!(files_of(&all, error.name.as_ref().unwrap()), plan(&alone).files);
        }
    }

    /// The hash follows the settings and nothing else.
    #[test]
    fn the_hash_is_of_the_settings(value in arbitrary::intent(), other in arbitrary::intent()) {
        let planned = |value: &Value| {
            let all = loaded(std::slice::from_ref(value));
            let plan = plan(&all);
            let hash = plan.containers[0].hash.clone()?;
            let texts = plan.files.into_iter().filter_map(|(path, entry)| match entry {
                Entry::File(text) => Some((path, without_comment_lines(&text).replace(&hash, ""))),
                Entry::Link(_) => None,
            });
            Some((hash.clone(), texts.collect::<BTreeMap<_, _>>()))
        };
        if let (Some((hash, texts)), Some((other_hash, other_texts))) = (planned(&value), planned(&other)) {
            prop_assert_eq!(hash == other_hash, texts == other_texts);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Writing is what the plan says, and writing again is nothing.
    #[test]
    fn plans_are_written_whole(values in vec(mostly_good(), 0..6), before in vec(mostly_good(), 0..6)) {
        let directory = tempfile::tempdir().unwrap();
        // What an earlier run left of the same paths is replaced.
        let old = plan(&loaded(&before));
        let new = plan(&loaded(&values));
        for plan in [&old, &new, &new] {
            prop_assert!(write_plan(directory.path(), plan).is_empty());
        }
        for (path, entry) in &new.files {
            let path = directory.path().join(path);
            match entry {
                Entry::File(text) => prop_assert_eq!(&std::fs::read_to_string(path).unwrap(), text),
                Entry::Link(target) => {
                    prop_assert_eq!(std::fs::read_link(path).unwrap(), std::path::PathBuf::from(*target))
                }
            }
        }
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            for entry in std::fs::read_dir(entry.unwrap().path()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                prop_assert!(!name.starts_with('.'), "a temporary is left: {name}");
            }
        }
    }
}

fn mostly_good() -> impl Strategy<Value = Value> {
    prop_oneof![3 => arbitrary::intent().boxed(), 1 => mutated().boxed()]
}

fn without_comment_lines(text: &str) -> String {
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    text.strip_prefix('\n').map(str::to_owned).unwrap_or(text)
}

/// The strategy is of use only if most of what it makes gets past the door.
#[test]
fn most_arbitrary_intents_are_good() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut faults: BTreeMap<String, u32> = BTreeMap::new();
    let mut good = 0;
    for _ in 0..300 {
        let value = arbitrary::intent().new_tree(&mut runner).unwrap().current();
        match parsed(&value, &name("web")) {
            Ok(_) => good += 1,
            Err(fault) => *faults.entry(fault.to_string()).or_default() += 1,
        }
    }
    assert!(good > 200, "only {good} of 300 are good: {faults:#?}");
}
