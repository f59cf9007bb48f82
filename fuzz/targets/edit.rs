//! An edit changes the setting that it is about as it says, and nothing else, whatever the file is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use systemd_unit_syntax::{Document, Line, Merged, UnitFile, lines, parse};

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
        // Nothing else may keep a setting of the file from being edited: what was read can be written, but for control
        // characters, and a backslash or a blank at an end.
        let mut one = UnitFile::default();
        one.section(section.to_owned()).set(key.to_owned(), value);
        assert!(before.error().is_some() || one.check().is_err());
        return;
    }
    assert!(again.error().is_none());
    // The other reader, which knows nothing of edits, reads the same.
    assert_eq!(parse(&bytes).expect("it has no error").file, again.to_unit_file());
    assert_eq!(settings(&again, None), settings(&document, None));
    let one = Some((section, key)).filter(|_| edit % 7 != 6);
    assert_eq!(settings(&again, one), settings(&before, one));
    assert_eq!(comments(&bytes), comments(file));
    // What the setting has in force, from the values before the edit.
    let list = |document: &Document| -> Vec<String> {
        Merged::new([document]).list(section, key).into_iter().map(str::to_owned).collect()
    };
    let mut expected = list(&before);
    match edit % 7 {
        0 => expected = vec!["edited".to_owned()],
        1 | 3 => expected.clear(),
        2 => expected.push("edited".to_owned()),
        // Without an empty one, earlier values are in force again.
        4 if value.is_empty() => {
            expected =
                before.values(section, key).filter(|found| !found.is_empty()).map(str::to_owned).collect();
        }
        4 => expected.retain(|found| found != value),
        5 if value.is_empty() => expected = vec!["two".to_owned()],
        5 => expected = ["one", value, "two"].map(str::to_owned).to_vec(),
        _ => {}
    }
    assert_eq!(list(&again), expected);
    let values: Vec<&str> = again.values(section, key).collect();
    match edit % 7 {
        0 => assert_eq!(values.iter().filter(|value| !value.is_empty()).count(), 1),
        1 => assert_eq!(values.last(), Some(&"")),
        2 => assert_eq!(values.last(), Some(&"edited")),
        3 => assert!(values.is_empty()),
        4 => assert!(!values.contains(&value)),
        _ => {}
    }
    // A section is made only if there is none of that name.
    let mut sections: Vec<&str> = before.sections().collect();
    let needed = match edit % 7 {
        0 | 1 | 2 | 5 => Some(section),
        6 => Some("Added"),
        _ => None,
    };
    sections.extend(needed.filter(|needed| !sections.contains(needed)));
    assert_eq!(again.sections().collect::<Vec<_>>(), sections);
});
