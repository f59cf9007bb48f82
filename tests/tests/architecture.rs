//! The layers of each crate: imports run downward, and files form no circle.

use std::path::Path;

use nixos_nspawn_tests::imports::{Layers, faults};

const UNITS: Layers = Layers {
    order: &[
        &["lib"],
        &["change", "copies"],
        &["write"],
        &["plan"],
        &["audit", "boot", "verify"],
        &["store"],
        &["conflict", "network", "nspawn", "ordering", "reach", "service", "socket", "version"],
        &["intent"],
        &["json"],
        &["name", "nearest", "number_type", "resolve", "string_type", "value"],
        &["deadline", "invalid", "parallel"],
    ],
    only: &[],
    circles: &[],
};

const SYNTAX: Layers = Layers {
    order: &[
        &["lib"],
        &["merged"],
        &["document", "effective"],
        &["check", "parse"],
        &["lines"],
        &["escape", "file"],
        &["settings", "words"],
    ],
    only: &[],
    circles: &[],
};

const GENERATOR: Layers = Layers {
    order: &[
        &["main"],
        &["generate", "proxy", "release"],
        &["prepare"],
        &["refuse"],
        &["args"],
        &["failure", "log"],
    ],
    only: &[("args", &["main"])],
    circles: &[],
};

const CTL: Layers = Layers {
    order: &[
        &["main"],
        &["lib"],
        &["testing"],
        &["command"],
        &["change"],
        &["decision"],
        &["fact"],
        &["nix"],
        &["host"],
        &["base"],
        &["cli"],
    ],
    only: &[("cli", &["lib", "command"])],
    circles: &[],
};

fn check(krate: &str, layers: &Layers) {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(krate).join("src");
    let faults = faults(&src, layers);
    assert!(faults.is_empty(), "{krate}:\n{}", faults.join("\n"));
}

#[test]
fn units() {
    check("units", &UNITS);
}

#[test]
fn syntax() {
    check("units/syntax", &SYNTAX);
}

#[test]
fn ctl() {
    check("ctl", &CTL);
}

#[test]
fn generator() {
    check("generator", &GENERATOR);
}

#[test]
fn the_page_shows_the_layers() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let page = std::fs::read_to_string(page).expect("docs/architecture.md");
    let words: Vec<&str> = page.split_whitespace().collect();
    let words = words.join(" ");
    for (krate, layers) in [("units", &UNITS), ("units/syntax", &SYNTAX), ("generator", &GENERATOR)] {
        let order: Vec<String> = layers.order[1..].iter().map(|layer| layer.join(", ")).collect();
        let line = format!("`{krate}`: {}.", order.join(" → "));
        assert!(words.contains(&line), "docs/architecture.md does not have: {line}");
    }
    let order = CTL.order.iter().flat_map(|layer| layer.iter()).filter(|layer| **layer != "testing");
    let mut rest = page.as_str();
    for layer in order.skip(2) {
        let line = format!("\n {layer}/ ");
        let (_, after) = rest.split_once(&line).unwrap_or_else(|| panic!("{layer}/ is not in its place"));
        rest = after;
    }
}
