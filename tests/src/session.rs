//! The session at the top of README.md: commands with their output, which a host gives, and the picture of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::picture::svg;

/// The title of the picture.
const TITLE: &str = "A container is created, updated and rolled back";

/// Returns the path of the picture.
pub fn picture() -> PathBuf {
    repository().join("docs/session.svg")
}

/// Returns README.md, with the place of the session in it.
fn readme() -> (String, std::ops::Range<usize>) {
    const FENCE: &str = "```console\n";
    let text = fs::read_to_string(repository().join("README.md")).expect("README.md");
    let start = text.find(FENCE).expect("a session") + FENCE.len();
    let end = start + text[start..].find("```").expect("its end");
    assert!(end < text.find("\n## ").expect("a section"), "the session comes before the first section");
    (text, start..end)
}

/// Returns the session as it is in README.md.
pub fn session() -> String {
    let (text, place) = readme();
    text[place].to_owned()
}

/// Returns the commands of the session.
pub fn commands() -> Vec<String> {
    session().lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// Returns the picture of the session.
pub fn drawn() -> String {
    svg(TITLE, &session())
}

/// Writes a session to README.md, and its picture.
pub fn write(session: &str) {
    let (mut text, place) = readme();
    text.replace_range(place, session);
    fs::write(repository().join("README.md"), text).expect("writable");
    fs::write(picture(), svg(TITLE, session)).expect("writable");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
