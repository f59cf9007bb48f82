//! An edit changes the setting that it is about and nothing else, whatever the file is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use systemd_unit_syntax::{Document, Line, lines};

/// Returns all settings, or all but one.
fn settings<'a>(document: &'a Document, without: Option<(&str, &str)>) -> Vec<(&'a str, &'a str, &'a str)> {
    document.settings().filter(|(section, key, _)| without != Some((section, key))).collect()
}

/// Returns all comments.
fn comments(bytes: &[u8]) -> Vec<&[u8]> {
    let comments = lines(bytes).filter_map(|(_, line)| match line {
        Ok(Line::Comment(text)) => Some(text),
        _ => None,
    });
    comments.collect()
}

fuzz_target!(|bytes: &[u8]| {
    // The first byte is the edit, and the next one the setting that is edited.
    let [edit, chosen, file @ ..] = bytes else { return };
    let before = Document::parse(file);
    assert_eq!(before.to_bytes(), file);
    let all = settings(&before, None);
    let new = ("Service", "Environment", "");
    let (section, key, value) = *all.get(usize::from(*chosen)).unwrap_or(&new);
    let mut document = before.clone();
    let done = match edit % 7 {
        0 => document.set(section, key, "edited"),
        1 => document.set(section, key, ""),
        2 => document.append(section, key, "edited"),
        3 => document.remove(section, key).map(drop),
        4 => document.remove_if(section, key, |found| found == value).map(drop),
        5 => document.set_all(section, key, &["one", value, "two"]),
        _ => document.add_section("Added"),
    };
    let bytes = document.to_bytes();
    let again = Document::parse(bytes.as_slice());
    if done.is_err() {
        assert_eq!(bytes, file);
        return;
    }
    assert!(again.error().is_none());
    assert_eq!(settings(&again, None), settings(&document, None));
    let one = Some((section, key)).filter(|_| edit % 7 != 6);
    assert_eq!(settings(&again, one), settings(&before, one));
    assert_eq!(comments(&bytes), comments(file));
    let found: Vec<&str> = again.values(section, key).filter(|value| !value.is_empty()).collect();
    match edit % 7 {
        0 => assert_eq!(found, ["edited"]),
        1 => assert_eq!(again.values(section, key).last(), Some("")),
        2 => assert_eq!(again.values(section, key).last(), Some("edited")),
        3 => assert_eq!(again.values(section, key).count(), 0),
        _ => {}
    }
});
