//! The flakes in README.md, evaluated by a real Nix with the project's own library and a stand-in for nixpkgs: what a reader
//! copies from there makes containers with the options that it sets.

use std::fs;

use nixos_nspawn_tests::nix::{PROJECT, evaluate, project};
use pretty_assertions::assert_eq;
use serde_json::json;

/// The Nix code between fences.
fn blocks(markdown: &str) -> Vec<String> {
    let blocks = markdown.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("nix\n").map(str::to_owned)).collect()
}

#[test]
fn flakes_of_the_readme_make_containers() {
    let readme = fs::read_to_string(project().join("README.md")).expect("README.md");
    let flakes: Vec<String> =
        blocks(&readme).into_iter().filter(|block| block.contains("mkContainer")).collect();
    assert_eq!(flakes.len(), 1, "{flakes:?}");
    // The reader's own file, and nothing that only a real nixpkgs has.
    let flake = flakes[0].replace("./configuration.nix", "{ }");
    let expression = format!(
        "let
           nixpkgs = {{ outPath = {PROJECT}/tests/nix/stand-in; lib = import {PROJECT}/tests/nix/stand-in/lib; }};
           nixos-nspawn.lib = import {PROJECT}/nix/lib.nix {{ }};
           containers = (({flake}).outputs {{ inherit nixpkgs nixos-nspawn; }}).nixosContainers;
         in builtins.mapAttrs (_: container: container.passthru.data or container.data) containers"
    );
    let value = evaluate(&[expression]).remove(0).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        value,
        json!({"mycontainer": {"version": 1, "bindMounts": ["/var/lib/host/path:/var/lib/container/path"]}})
    );
}
