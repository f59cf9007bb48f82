//! Properties of plans: what parses can be planned and is written as planned, the order of intents makes no difference,
//! and one intent never touches what another gets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

mod arbitrary;
mod mutated;

use std::collections::BTreeMap;

use nixos_nspawn_units::intent::reads_as_autostart;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, plan};
use nixos_nspawn_units::store::{Host, Kind, LoadError, Loaded, Stored};
use nixos_nspawn_units::write::Writer;
use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use systemd_unit_syntax::parse;

use mutated::{mutated, name, parsed};

/// A loaded directory: good and bad intents, all their names different.
fn loaded(values: &[Value]) -> Loaded {
    let mut loaded = Loaded { host: Host::default(), ..Loaded::default() };
    for (at, value) in values.iter().enumerate() {
        // Long names are shortened for interfaces, with the same first letters.
        let name = name(&format!("container-{at}"));
        let path = format!("/etc/nixos-nspawn/{name}.json");
        let kind = Kind::Imperative;
        match parsed(value, &name) {
            Ok(intent) => loaded.intents.push(Stored { name, kind, path, intent: Box::new(intent) }),
            Err(fault) => loaded.errors.push(LoadError {
                path,
                autostart: reads_as_autostart(value.to_string().as_bytes()).unwrap_or(true),
                name: Some(name),
                kind,
                fault,
                shadowed: false,
                unread: false,
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
        let file = path.rsplit('/').next().unwrap_or_default();
        let proxy = file.strip_prefix("nixos-nspawn-proxy@").and_then(|rest| rest.split_once("-tcp-"));
        proxy.is_some_and(|(container, _)| container == name.as_str())
            || own.contains(&path.to_owned())
            || path.split('/').any(|part| part.trim_end_matches(".d").trim_end_matches(".wants") == unit)
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

proptest! {
    /// A valid intent can be written, and a parser like systemd's reads it back: without a refusal, a warning or an
    /// additional line.
    #[test]
    fn what_parses_renders(value in arbitrary::intent()) {
        let web = name("web");
        let Ok(intent) = parsed(&value, &web) else { return Ok(()) };
        let stored = Stored { name: web, kind: Kind::Imperative, path: "/etc/nixos-nspawn/web.json".to_owned(), intent: Box::new(intent) };
        let plan = plan(&Loaded { intents: vec![stored], ..Loaded::default() });
        prop_assert_eq!(&plan.containers[0].refusal, &None);
        for (path, entry) in &plan.files {
            let Entry::File(text) = entry else { continue };
            let parsed = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(parsed.warnings, vec![], "{}", path);
            prop_assert_eq!(&parsed.file.without_comments().to_string(), &without_comment_lines(text), "{}", path);
        }
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
                without_comments(files_of(&alone, &stored.name))
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

    /// Writing produces what the plan says, and writing again changes nothing.
    #[test]
    fn plans_are_written_whole(values in vec(mostly_good(), 0..6), before in vec(mostly_good(), 0..6)) {
        let directory = tempfile::tempdir().unwrap();
        // Files of an earlier run at the same paths are replaced.
        let old = plan(&loaded(&before));
        let new = plan(&loaded(&values));
        for plan in [&old, &new, &new] {
            let entries: Vec<(String, Entry)> = plan.files.clone().into_iter().collect();
            let writer = Writer::open(directory.path(), std::time::SystemTime::now()).unwrap();
            writer.batch().write(None, entries);
            prop_assert!(writer.finish().is_empty());
        }
        for (path, entry) in &new.files {
            let path = directory.path().join(path);
            match entry {
                Entry::File(text) => prop_assert_eq!(&std::fs::read_to_string(path).unwrap(), text),
                Entry::Link(target) => {
                    prop_assert_eq!(std::fs::read_link(path).unwrap(), std::path::PathBuf::from(target.as_ref()))
                }
            }
        }
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(path).unwrap() {
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
