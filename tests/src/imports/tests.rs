use super::*;

const LAYERS: Layers = Layers {
    order: &[&["main"], &["top"], &["middle"], &["low", "side"]],
    only: &[("side", &["main", "middle"])],
    circles: &[],
};

/// Checks a crate that follows the rules, with these files added or replaced.
fn check(changed: &[(&str, &str)]) -> Vec<String> {
    check_by(&LAYERS, changed)
}

fn check_by(layers: &Layers, changed: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let good = [
        ("main.rs", "mod low;\nmod middle;\nmod side;\nmod top;\nfn main() { top::go() }\n"),
        ("top.rs", "use crate::middle::Low;\n"),
        ("middle/mod.rs", "mod inner;\npub use crate::low::Low;\nfn f() { inner::go() }\n"),
        ("middle/inner.rs", "use super::Low;\nuse crate::side;\n#[cfg(test)]\nuse crate::top;\n"),
        ("low.rs", "pub struct Low;\n"),
        ("side.rs", "use std::fs;\n"),
    ];
    for (name, text) in good.iter().chain(changed) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    faults(folder.path(), layers)
}

#[test]
fn downward_only() {
    assert_eq!(check(&[]), Vec::<String>::new());
}

#[test]
fn up() {
    let faults = check(&[("low.rs", "\nuse crate::{middle, side};\n")]);
    assert_eq!(
        faults[..2],
        [
            "low.rs:2: imports middle/mod.rs, which is in a layer above",
            "low.rs:2: imports side.rs, which only main and middle may"
        ]
    );
    let faults = check(&[("low.rs", "fn f() { crate::fail() }")]);
    assert_eq!(faults[0], "low.rs:1: imports main.rs, which is in a layer above");
}

#[test]
fn circles_of_files() {
    let faults = check(&[("middle/inner.rs", "fn f() {\n    super::f()\n}\n")]);
    assert_eq!(faults, ["circle of 2: middle/inner.rs:2 → middle/mod.rs, middle/mod.rs:3 → middle/inner.rs"]);
    let inside = [("middle/inner.rs", "fn f() { super::f() }\n")];
    assert_eq!(check_by(&Layers { circles: &["middle"], ..LAYERS }, &inside), Vec::<String>::new());
    assert_eq!(check_by(&Layers { circles: &["low"], ..LAYERS }, &inside).len(), 1);
    // Through a re-export: both are defined elsewhere.
    let faults = check(&[
        ("middle/mod.rs", "mod inner;\nmod other;\npub use inner::A;\npub use other::B;\n"),
        ("middle/inner.rs", "use super::B;\n"),
        ("middle/other.rs", "use super::A;\n"),
        ("top.rs", ""),
    ]);
    assert_eq!(
        faults,
        ["circle of 2: middle/inner.rs:1 → middle/other.rs, middle/other.rs:1 → middle/inner.rs"]
    );
}

#[test]
fn every_module_has_a_layer() {
    assert_eq!(check(&[("new.rs", "")]), ["new: is in no layer"]);
}
