//! Properties of edits: a document that nobody changes is its file to the byte, and an edit changes the setting that it is
//! about and nothing else. What systemd itself reads is compared by the tests of the workspace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use systemd_unit_syntax::{Document, EditError, Line, Merged, lines, parse};

/// Lines of any kind, joined by any line ends; the last one may have none.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &'static str| Just(text.as_bytes().to_vec());
    let line = prop_oneof![
        6 => select(vec!["[A]", "[B]", " [A] ", "[X-A]", "[A\\", "[A"]).prop_map(|it| it.as_bytes().to_vec()),
        9 => ("[ \t]{0,2}", "[kl]", "[ \t]{0,2}=[ \t]{0,2}", "[a-c \\\\=#;\\[]{0,6}")
            .prop_map(|(blank, key, equals, value)| format!("{blank}{key}{equals}{value}").into_bytes()),
        4 => ("[kl]=[a-c]{0,2}", "[ \\\\]{0,2}").prop_map(|(line, end)| format!("{line}{end}\\").into_bytes()),
        4 => "[ \t]{0,2}[#;][ a\\\\]{0,3}".prop_map(String::into_bytes),
        4 => text(""),
        2 => text("  "),
        2 => text("\\"),
        2 => text("\u{feff}k=a"),
        1 => text("\u{feff}"),
        1 => text("\u{feff}[A]"),
        1 => text("#\u{ff}\\"),
        1 => vec(any::<u8>(), 0..4),
    ];
    let end = prop_oneof![
        12 => Just("\n"),
        2 => Just("\r\n"),
        3 => select(vec!["\r", "\0", "\n\r", "\r\n\0", "\n\n", "\0\n"]),
    ];
    let begin = prop_oneof![3 => Just("[A]\n"), 1 => Just("")];
    (begin, vec((line, end), 0..14), any::<bool>()).prop_map(|(begin, lines, cut)| {
        let last = lines.len();
        let lines = lines.into_iter().enumerate().flat_map(|(at, (line, end))| {
            let end = if cut && at + 1 == last { "" } else { end };
            [line, end.as_bytes().to_vec()].concat()
        });
        [begin.as_bytes().to_vec(), lines.collect()].concat()
    })
}

/// One of the edits, and what it says about the values of its key.
#[derive(Debug, Clone)]
enum Edit {
    Set(String),
    SetAll(Vec<String>),
    Append(String),
    Remove,
    RemoveIf(String),
}

fn edit() -> impl Strategy<Value = Edit> {
    let value = || prop_oneof![Just(String::new()), "[a-c]([a-c #;=\\\\\\[\"]{0,4}[a-c])?"];
    let full = || "[a-c]{1,2}";
    prop_oneof![
        value().prop_map(Edit::Set),
        vec(full(), 0..4).prop_map(Edit::SetAll),
        value().prop_map(Edit::Append),
        Just(Edit::Remove),
        full().prop_map(Edit::RemoveIf),
    ]
}

fn apply(document: &mut Document, key: &str, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::Set(value) => document.set("A", key, value),
        Edit::SetAll(values) => document.set_all("A", key, values),
        Edit::Append(value) => document.append("A", key, value),
        Edit::Remove => document.remove("A", key).map(drop),
        Edit::RemoveIf(unwanted) => document.remove_if("A", key, |value| value == unwanted).map(drop),
    }
}

/// What the key has after the edit.
fn expected(before: &[&str], edit: &Edit) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for value in before.iter().filter(|value| !matches!(edit, Edit::RemoveIf(unwanted) if unwanted == *value))
    {
        if value.is_empty() { list.clear() } else { list.push(value.to_string()) }
    }
    match edit {
        Edit::Append(value) | Edit::Set(value) if value.is_empty() => list.clear(),
        Edit::Append(value) => list.push(value.clone()),
        Edit::Set(value) => list = vec![value.clone()],
        Edit::SetAll(values) => list = values.clone(),
        Edit::Remove => list.clear(),
        Edit::RemoveIf(_) => {}
    }
    list
}

/// Returns all settings but one.
fn others(document: &Document, key: &str) -> Vec<(String, String, String)> {
    let others = document.settings().filter(|(s, k, _)| (*s, *k) != ("A", key));
    others.map(|(section, key, value)| (section.to_owned(), key.to_owned(), value.to_owned())).collect()
}

/// Returns all comments as they stand in the file.
fn comments(bytes: &[u8]) -> Vec<Vec<u8>> {
    let comments = lines(bytes).filter_map(|(_, line)| match line {
        Ok(Line::Comment(text)) => Some(text.to_vec()),
        _ => None,
    });
    comments.collect()
}

/// Returns the lines that are no part of the key's assignments, without their ends.
fn untouched(bytes: &[u8], key: &str) -> Vec<Vec<u8>> {
    let mut rest = Vec::new();
    let mut continued = false;
    let mut ours = false;
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        if text.is_empty() {
            continued = false;
        } else if matches!(text, [b'#' | b';', ..]) {
            rest.push(line.to_vec());
        } else {
            if !continued {
                let end = text.iter().position(|byte| *byte == b'=').unwrap_or(0);
                ours = text[..end].trim_ascii_end() == key.as_bytes();
            }
            if !ours {
                rest.push(line.to_vec());
            }
            continued = line.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        }
    }
    rest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_unchanged_document_is_its_file(bytes in bytes(), any in vec(any::<u8>(), 0..60)) {
        for bytes in [bytes, any] {
            let document = Document::parse(bytes.clone());
            assert_eq!(document.to_bytes(), bytes);
            match parse(&bytes) {
                Ok(parsed) => {
                    assert_eq!((document.error(), document.warnings()), (None, parsed.warnings));
                    assert_eq!(document.to_unit_file(), parsed.file);
                }
                Err(error) => assert_eq!(document.error(), Some(error)),
            }
        }
    }

    #[test]
    fn an_edit_changes_what_it_is_about(bytes in bytes(), key in select(vec!["k", "l", "m"]), edits in vec(edit(), 1..4)) {
        let mut document = Document::parse(bytes);
        for edit in &edits {
            let before = document.clone();
            if document.error().is_some() {
                apply(&mut document, key, edit).unwrap_err();
                assert_eq!(document.to_bytes(), before.to_bytes());
                continue;
            }
            apply(&mut document, key, edit).unwrap();
            let again = Document::parse(document.to_bytes());
            assert_eq!(again.error(), None);
            let values: Vec<&str> = before.values("A", key).collect();
            for found in [&document, &again] {
                assert_eq!(Merged::new([found]).list("A", key), expected(&values, edit));
                assert_eq!(others(found, key), others(&before, key));
            }
            assert_eq!(comments(&document.to_bytes()), comments(&before.to_bytes()));
        }
    }

    /// Other sections, and with them ambiguous lines, are left out here.
    #[test]
    fn an_edit_leaves_other_lines_to_the_byte(
        body in vec("[ \t]{0,2}([km]|#)[ \t]{0,2}=[ \t]{0,2}[a-c=#;]{0,6}[ \\\\]{0,2}|[ \t]{0,2}", 0..10),
        edit in edit(),
    ) {
        let text = format!("[A]\n{}\n", body.join("\n"));
        let mut document = Document::parse(text.as_str());
        apply(&mut document, "k", &edit).unwrap();
        assert_eq!(untouched(&document.to_bytes(), "k"), untouched(text.as_bytes(), "k"));
    }

    #[test]
    fn sections_come_and_go(bytes in bytes(), name in select(vec!["A", "B", "C"])) {
        let mut document = Document::parse(bytes);
        if document.error().is_some() {
            assert!(document.add_section(name).is_err() && document.remove_section(name).is_err());
            return Ok(());
        }
        let before = document.clone();
        let rest = |document: &Document| -> Vec<String> {
            document.settings().filter(|(section, ..)| *section != name).map(|it| format!("{it:?}")).collect()
        };
        document.add_section(name).unwrap();
        let mut added = Document::parse(document.to_bytes());
        assert!(added.sections().any(|section| section == name));
        assert_eq!(others(&added, ""), others(&before, ""));
        added.remove_section(name).unwrap();
        let gone = Document::parse(added.to_bytes());
        assert!(gone.sections().all(|section| section != name));
        assert_eq!(rest(&gone), rest(&before));
    }
}
