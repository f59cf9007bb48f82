//! The layers of each crate: imports run downward, and files form no circle.

use std::path::Path;

use nixos_nspawn_tests::imports::{Layers, faults};

const UNITS: Layers = Layers {
    order: &[
        &["lib"],
        &["change", "copies"],
        &["write"],
        &["plan"],
        &["boot"],
        &["store"],
        &["conflict", "network", "nspawn", "ordering", "reach", "service", "socket", "version"],
        &["intent"],
        &["json"],
        &["name", "number_type", "resolve", "string_type", "syntax", "value"],
        &["deadline", "invalid"],
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
fn ctl() {
    check("ctl", &CTL);
}

#[test]
fn generator() {
    check("generator", &GENERATOR);
}
