//! The reach of a container into its host: what changes of options give, take and lift. Each change that once went
//! unnoticed is a line here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

mod limits;
mod many;
mod network;
mod rights;
mod texts;

use nixos_nspawn_units::intent::{Container, parse};
use nixos_nspawn_units::reach::{Changes, changes};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn container(options: &Value) -> Container {
    let intent = json!({
        "version": 1,
        "toplevel": "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05",
        "container": options,
    });
    let name = "web".parse().expect("a name");
    parse(intent.to_string().as_bytes(), &name).unwrap_or_else(|fault| panic!("{options}: {fault}")).container
}

fn between(old: &Value, new: &Value) -> Changes {
    changes(&container(old), &container(new))
}

/// The first widens to the second, with these words in what needs consent; the way back is seen as well.
fn widens(old: Value, new: Value, words: &str) {
    let there = between(&old, &new);
    assert!(there.adds(), "{old} -> {new}: unseen");
    let said = there.added().join("\n");
    assert!(said.contains(words), "{old} -> {new}: {said}");
    assert!(!between(&new, &old).is_empty(), "{new} -> {old}: unseen");
}

/// The first widens to the second, and the way back only takes away.
fn widens_only(old: Value, new: Value, words: &str) {
    widens(old.clone(), new.clone(), words);
    let back = between(&new, &old);
    assert!(back.only_takes_away(), "{new} -> {old}: {back:?}");
}

/// Nothing of the reach differs.
fn same(old: Value, new: Value) {
    assert_eq!(between(&old, &new), Changes::default(), "{old} -> {new}");
    assert_eq!(between(&new, &old), Changes::default(), "{new} -> {old}");
}
