//! Properties of the unit-file toolkit: what is rendered is read back the same, every escaper
//! has its inverse, and no input makes the parser panic. Nothing here runs a program; what the
//! real parser says is in syntax_nspawn.rs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy takes helpers of tests for ordinary code"
)]

use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;
use systemd_unit_syntax::escape::{self, EscapeError};
use systemd_unit_syntax::{Item, Section, UnitFile, effective, parse, words};

/// Short texts of characters that mean something somewhere, with some that mean nothing.
fn hostile() -> impl Strategy<Value = String> {
    let special =
        "[ \t\n\r\0\"'\\\\%$;#:=,\\[\\]{}~+*?/.a-cinstuxN0-9\u{7f}é\u{a0}\u{feff}\u{fdd0}\u{fffe}😀]{0,12}";
    prop_oneof![4 => string_regex(special).unwrap(), 1 => any::<String>()]
}

/// Files with content that a unit file can hold, sensible or not.
fn file() -> impl Strategy<Value = UnitFile> {
    let comment = || "[ \t#;\\\\\\[a-zé]{0,8}";
    let key = string_regex("[A-Za-z\"'\\\\\\]%-][A-Za-z \"'\\\\\\[\\]#;%é-]{0,6}[A-Za-z\\\\\\]%é]").unwrap();
    let value = hostile();
    let item = prop_oneof![
        3 => (key, value).prop_map(|(key, value)| Item::Setting { key: key.into(), value: value.into() }),
        1 => comment().prop_map(Item::Comment),
    ];
    let section = ("[A-Za-z \\]=#;%é-]{1,8}", vec(item, 0..6))
        .prop_map(|(name, items)| Section { name: name.into(), items });
    (vec(comment(), 0..3), vec(section, 0..4)).prop_map(|(header, mut sections)| {
        for section in &mut sections {
            section.items.retain(|item| match item {
                Item::Setting { key, value } => {
                    UnitFile::default().section("A").set_checked(key.as_ref(), value.as_ref()).is_ok()
                }
                Item::Comment(_) => true,
            });
        }
        UnitFile { header, sections }
    })
}

/// Lines of any kind, joined by any line ends.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        2 => hostile().prop_map(String::into_bytes),
        2 => Just(b"[Exec]".to_vec()),
        2 => hostile().prop_map(|value| format!("Key={value}").into_bytes()),
        1 => Just(b"#".to_vec()),
        1 => Just(b"k=v\\".to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    let end = prop_oneof![4 => Just(&b"\n"[..]), 1 => Just(&b"\r\n"[..]), 1 => Just(&b"\r"[..]), 1 => Just(&b"\0"[..])];
    vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat()).collect())
}

/// What is accepted comes back as one word.
fn comes_back(
    value: &str,
    escape: fn(&str) -> Result<String, EscapeError>,
    inverse: fn(&str) -> Result<Vec<String>, EscapeError>,
) {
    if let Ok(written) = escape(value) {
        assert_eq!(inverse(&written).unwrap(), [value], "written as {written:?}");
        let mut file = UnitFile::default();
        file.section("A").set_checked("k", &written).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_rendered_is_read_back(file in file()) {
        prop_assert_eq!(file.check(), Ok(()));
        let parsed = parse(file.to_string().as_bytes()).unwrap();
        prop_assert_eq!(parsed.warnings, []);
        prop_assert_eq!(parsed.file, file);
    }

    #[test]
    fn what_is_read_is_rendered_the_same(bytes in bytes()) {
        // Also what stands before an error is a file; some of them cannot be written.
        let file = parse(&bytes).map_or_else(|error| error.before, |parsed| parsed.file);
        effective(&file);
        if file.check().is_ok() {
            prop_assert_eq!(parse(file.to_string().as_bytes()).unwrap().file, file);
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_value_makes_the_splitters_panic(value in hostile()) {
        for split in [words::unit_words, words::command_words, words::nspawn_words, words::path_words,
            words::unit_names, words::plain_words, words::fields]
        {
            let _ = split(&value);
        }
        let _ = (words::bind_fields(&value), words::first_field(&value));
        let _ = (escape::environment_values(&value), escape::exec_values(&value), escape::unit_raw_value(&value));
    }

    #[test]
    fn each_escaper_has_its_inverse(value in hostile()) {
        comes_back(&value, escape::environment, escape::environment_values);
        comes_back(&value, escape::requires_mounts_for, escape::requires_mounts_for_values);
        comes_back(&value, escape::nspawn_word, escape::nspawn_values);
        comes_back(&value, escape::unit_raw, |written| Ok(vec![escape::unit_raw_value(written)?]));
        comes_back(&value, escape::nspawn_raw, |written| Ok(vec![written.to_owned()]));
        // As in a file: nothing but blanks at the ends can get lost.
        comes_back(&format!("/{value}/"), escape::bind_field, |written| Ok(vec![escape::bind_field_value(written)?]));
    }

    #[test]
    fn commands_keep_their_words(path in hostile(), arguments in vec(hostile(), 0..4)) {
        let path = format!("/{path}");
        let words = std::iter::once(escape::executable(&path)).chain(arguments.iter().map(|it| escape::exec_argument(it)));
        if let Ok(words) = words.collect::<Result<Vec<_>, _>>() {
            let command = escape::exec_values(&words.join(" ")).unwrap();
            prop_assert_eq!(command, [vec![path], arguments].concat());
        }
    }

    #[test]
    fn binds_keep_their_fields(source in hostile(), destination in hostile(), options in "[a-z,]{1,8}") {
        let fields = [&source, &destination].map(|it| escape::bind_field(&format!("/{it}")));
        if let [Ok(source_field), Ok(destination_field)] = fields {
            let fields = words::bind_fields(&format!("{source_field}:{destination_field}:{options}")).unwrap();
            prop_assert_eq!(fields.source, format!("/{source}"));
            prop_assert_eq!(fields.destination, Some(format!("/{destination}")));
            prop_assert_eq!(fields.options, Some(options));
        }
    }

    #[test]
    fn only_what_cannot_be_held_is_refused(value in "[\t -~é😀]{1,12}") {
        prop_assert!(escape::environment(&value).is_ok());
        prop_assert!(escape::exec_argument(&value).is_ok());
        prop_assert!(escape::requires_mounts_for(&value).is_ok());
        prop_assert!(escape::nspawn_word(&value).is_ok());
        prop_assert!(escape::bind_field(&value).is_ok());
        let edge = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t', '\\']);
        prop_assert!(edge || escape::unit_raw(&value).is_ok());
        prop_assert!(edge || escape::nspawn_raw(&value).is_ok());
    }
}
