use super::*;
use pretty_assertions::assert_eq;

fn fault_of(value: &str) -> WordError {
    unit_words(value).unwrap_err()
}

#[test]
fn blanks_separate_words() {
    for split in [unit_words, nspawn_words, path_words, unit_names, plain_words] {
        assert_eq!(split(" \ta  b\tc\r\n").unwrap(), ["a", "b", "c"]);
        assert_eq!(split("").unwrap(), [""; 0]);
        assert_eq!(split(" \t ").unwrap(), [""; 0]);
    }
}

#[test]
fn quotes_group_also_in_the_middle_of_a_word() {
    for split in [unit_words, nspawn_words, path_words] {
        assert_eq!(split(r#"a"b c"d 'e "f' """#).unwrap(), ["ab cd", "e \"f", ""]);
        assert!(matches!(split("a 'b c").unwrap_err(), WordError::UnbalancedQuote { .. }));
    }
    for split in [unit_names, plain_words] {
        assert_eq!(split("a'b c'd").unwrap(), ["a'b", "c'd"]);
    }
}

#[test]
fn a_backslash_means_something_else_in_each_setting() {
    assert_eq!(unit_words(r"a\tb '\x41\102\u00e9\U0001f600\s'").unwrap(), ["a\tb", "AB\u{e9}\u{1f600} "]);
    assert_eq!(nspawn_words(r"a\tb '\' \").unwrap(), [r"a\tb", r"\", r"\"]);
    assert_eq!(path_words(r#"a\tb\ c '\'' "\é""#).unwrap(), ["atb c", "'", "é"]);
    assert_eq!(unit_names(r"a\x2db.service \").unwrap(), [r"a\x2db.service", r"\"]);
    assert_eq!(plain_words(r"a\ b \\").unwrap(), ["a b", r"\"]);
}

#[test]
fn escapes_systemd_does_not_know_are_errors() {
    for value in [r"\q", r"\x4", r"\x+4", r"\8", r"\400", r"\u12", r"\ud800", r"\Ufffffffe", r"\U0000ffff"] {
        assert!(matches!(fault_of(value), WordError::UnknownEscape { .. }), "{value}");
    }
    for value in [r"\x00", r"\000", r"\u0000", r"\U00000000"] {
        assert!(matches!(fault_of(value), WordError::UnknownEscape { .. }), "{value}");
    }
    assert!(matches!(fault_of(r"a\"), WordError::TrailingBackslash { .. }));
    assert!(matches!(fault_of(r"'a\'"), WordError::UnbalancedQuote { .. }));
    assert!(matches!(fault_of(r"\xff"), WordError::NotUtf8 { .. }));
}

#[test]
fn a_bare_semicolon_ends_a_command() {
    assert_eq!(
        command_words(r#" /bin/x ";" \; a; ;b '\x3b' \; "#).unwrap(),
        ["/bin/x", ";", ";", "a;", ";b", ";", ";"]
    );
    for value in ["/bin/x ; /bin/y", ";", "/bin/x ;", "/bin/x a\t;\tb"] {
        assert!(matches!(command_words(value).unwrap_err(), WordError::SecondCommand { .. }), "{value}");
    }
    assert!(matches!(command_words(r"x \;y").unwrap_err(), WordError::UnknownEscape { .. }));
}

#[test]
fn fields_keep_the_empty_ones() {
    assert_eq!(fields("").unwrap(), [""]);
    assert_eq!(fields("a").unwrap(), ["a"]);
    assert_eq!(fields(":a::b:").unwrap(), ["", "a", "", "b", ""]);
    assert_eq!(fields(r#"a\:b:c\\:"d e":é"#).unwrap(), ["a:b", r"c\", "\"d e\"", "é"]);
    assert!(matches!(fields(r"a:b\").unwrap_err(), WordError::TrailingBackslash { .. }));
}

#[test]
fn only_two_fields_of_a_bind_are_unescaped() {
    let bind = |source: &str, destination: Option<&str>, options: Option<&str>| BindFields {
        source: source.to_owned(),
        destination: destination.map(str::to_owned),
        options: options.map(str::to_owned),
    };
    assert_eq!(bind_fields("/a").unwrap(), bind("/a", None, None));
    assert_eq!(bind_fields("/a:").unwrap(), bind("/a", Some(""), None));
    assert_eq!(bind_fields("/a:/b:").unwrap(), bind("/a", Some("/b"), None));
    assert_eq!(bind_fields(":/b").unwrap(), bind("", Some("/b"), None));
    assert_eq!(bind_fields(r"/\:a:/b\\:x\y:z").unwrap(), bind("/:a", Some(r"/b\"), Some(r"x\y:z")));
    assert_eq!(first_field(r"a\:b:/c\d:e").unwrap(), ("a:b".to_owned(), Some(r"/c\d:e")));
    assert_eq!(first_field("a").unwrap(), ("a".to_owned(), None));
}
