//! Checks that README.md is short, that its picture shows its session, and that the project has one address everywhere.

use std::fs;

use nixos_nspawn_tests::session;
use pretty_assertions::assert_eq;

use crate::prose::markdown_files;
use crate::text;

#[test]
fn readme_is_short() {
    let words = text("README.md").split_whitespace().count();
    assert!(words <= 1200, "README.md has {words} words; what is not for the first hour belongs to docs/");
}

#[test]
fn the_picture_shows_the_session() {
    let picture = fs::read_to_string(session::picture()).expect("the picture");
    assert_eq!(
        picture,
        session::drawn(),
        "NIXOS_NSPAWN_BLESS=1 cargo test --test hosts -- readme:: writes it"
    );
    assert!(text("README.md").contains("](docs/session.svg)"));
}

/// Returns the project's address: it is defined in Cargo.toml.
fn address() -> String {
    let manifest = text("Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix("repository = \"")).expect("an address");
    line.trim_end_matches('"').to_owned()
}

/// Other files repeat the address, since they cannot read it.
#[test]
fn there_is_one_address() {
    let address = address();
    let mut files = markdown_files();
    let packages = ["debian/control", "packaging/arch/PKGBUILD", "packaging/rpm/nixos-nspawn.spec"];
    files.extend(packages.map(str::to_owned));
    files.extend(["docs/book.toml", "tests/nixos/up"].map(str::to_owned));
    let mut named = 0;
    for file in files {
        for (number, line) in text(&file).lines().enumerate() {
            for rest in line.split("https://").skip(1).filter(|rest| rest.contains("/nixos-nspawn")) {
                let found = rest.split(|c: char| "\"' ),>`;#".contains(c)).next().unwrap_or_default();
                if found.ends_with("/nixos-nspawn") {
                    assert_eq!(format!("https://{found}"), address, "{file}:{}", number + 1);
                    named += 1;
                }
            }
        }
    }
    assert!(named > 4, "found only {named}");
}
