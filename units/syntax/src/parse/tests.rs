use super::*;
use crate::lines::LONG_LINE_MAX;
use pretty_assertions::assert_eq;

/// `[Section] Key=value` for each setting.
fn settings(text: impl AsRef<[u8]>) -> Vec<String> {
    described(&parse(text.as_ref()).unwrap().file)
}

fn described(file: &UnitFile) -> Vec<String> {
    file.settings().map(|(section, key, value)| format!("[{section}] {key}={value}")).collect()
}

/// Where and why reading stops, and what came before.
fn stops(text: impl AsRef<[u8]>) -> (usize, Fault, Vec<String>) {
    let error = parse(text.as_ref()).unwrap_err();
    (error.line, error.reason, described(&error.before))
}

fn warnings(text: &str) -> Vec<(usize, Ignored)> {
    parse(text.as_bytes()).unwrap().warnings.iter().map(|warning| (warning.line, warning.reason)).collect()
}

#[test]
fn sections_keys_and_values_are_stripped_and_kept_in_order() {
    assert_eq!(
        settings("\n[A]\n\n k = v w \n\tk=\n[B]\nk==\n[A]  \nl=\"'#;[\n"),
        ["[A] k=v w", "[A] k=", "[B] k==", "[A] l=\"'#;["],
    );
    assert_eq!(settings("[A]\nk=v"), ["[A] k=v"]);
    assert_eq!(settings("[ A b]]\nk=v"), ["[ A b]] k=v"]);
    assert_eq!(settings(""), [""; 0]);
}

#[test]
fn comments_stand_on_lines_of_their_own() {
    let file = parse(b"#a\n ;  b\n\n[A]\n#\nk=v # no\n\t#\xff\n").unwrap().file;
    assert_eq!(file.header, ["a", " b"]);
    assert_eq!(
        file.sections[0].items,
        [
            Item::Comment(String::new()),
            Item::Setting { key: "k".into(), value: "v # no".into() },
            Item::Comment("\u{fffd}".to_owned()),
        ],
    );
}

#[test]
fn an_odd_backslash_continues_the_line() {
    assert_eq!(settings("[A]\nk=a\\\n  b\\\n\tc\nl=d"), ["[A] k=a   b \tc", "[A] l=d"]);
    assert_eq!(settings("[A]\nk=a\\\\\nl=b\\\\\\\nc"), ["[A] k=a\\\\", "[A] l=b\\\\ c"]);
    assert_eq!(settings("[A]\nk=\\\nv"), ["[A] k=v"]);
    assert_eq!(settings("[A]\nk\\\n=v"), ["[A] k=v"]);
    assert_eq!(settings("[A\\\nb]\nk=v"), ["[A b] k=v"]);
    // A blank behind the backslash makes it one like any other.
    assert_eq!(settings("[A]\nk=a\\ \nl=b"), ["[A] k=a\\", "[A] l=b"]);
}

#[test]
fn a_continuation_skips_comments_and_ends_at_an_empty_line_or_the_file() {
    assert_eq!(settings("[A]\nk=a\\\n# no \\\n ; no\nb\nl=c"), ["[A] k=a b", "[A] l=c"]);
    assert_eq!(settings("[A]\nk=a\\\n\nl=c"), ["[A] k=a", "[A] l=c"]);
    assert_eq!(settings("[A]\nk=a\\\n \t\nl=c"), ["[A] k=a", "[A] l=c"]);
    assert_eq!(settings("[A]\nk=a\\"), ["[A] k=a"]);
    assert_eq!(settings("[A]\nk=a\\\n#\n"), ["[A] k=a"]);
    // A comment is not continued, and a header or an assignment in a continuation is none.
    assert_eq!(settings("[A]\n# no \\\nk=a"), ["[A] k=a"]);
    assert_eq!(settings("[A]\nk=a\\\n[B]\\\nl=c"), ["[A] k=a [B] l=c"]);
}

#[test]
fn cr_and_nul_end_lines_too() {
    for end in ["\n", "\r", "\0", "\r\n", "\n\r", "\n\0", "\r\0", "\r\n\0", "\n\r\0"] {
        let text = format!("[A]{end}k=a\\{end}b{end}l=c{end}x{end}");
        assert_eq!(settings(&text), ["[A] k=a b", "[A] l=c"], "{end:?}");
        assert_eq!(warnings(&text), [(5, Ignored::NoEquals)], "{end:?}");
    }
    // Two of a kind are two ends, and nothing belongs to a NUL: empty lines end continuations.
    for end in ["\n\n", "\r\r", "\0\0", "\0\n", "\0\r", "\r\n\r", "\n\r\n", "\n\0\r"] {
        assert_eq!(settings(format!("[A]\nk=a\\{end}b=c")), ["[A] k=a", "[A] b=c"], "{end:?}");
    }
}

#[test]
fn one_byte_order_mark_is_skipped() {
    assert_eq!(settings("\u{feff}[A]\nk=v"), ["[A] k=v"]);
    assert_eq!(settings("#\n\u{feff}[A]\nk=v"), ["[A] k=v"]);
    assert_eq!(settings("[A]\n\u{feff}k=v\n\u{feff}l=w"), ["[A] k=v", "[A] \u{feff}l=w"]);
    // It hides a comment's sign, and is one behind the sign.
    assert_eq!(settings("[A]\n\u{feff}#k=v"), ["[A] #k=v"]);
    assert_eq!(settings("#\u{feff}\n\u{feff}[A]\nk=v"), ["[A] k=v"]);
}

#[test]
fn invalid_lines_are_ignored() {
    assert_eq!(
        warnings("a\nk=v\n[A]\nb\n=v\n = v\n\\\nc\nk=v\n"),
        [
            (1, Ignored::OutsideSection),
            (2, Ignored::OutsideSection),
            (4, Ignored::NoEquals),
            (5, Ignored::NoKey),
            (6, Ignored::NoKey),
            (8, Ignored::NoEquals),
        ],
    );
    assert_eq!(settings("k=v\n[A]\nb\n=v\nk=w"), ["[A] k=w"]);
    assert_eq!(warnings("[X-A]\na\n=b\n[A]\nc"), [(5, Ignored::NoEquals)]);
}

#[test]
fn bad_headers_stop_the_file() {
    let before = || vec!["[A] k=v".to_owned()];
    for header in ["[B", "[", "[B] #", "[B]x"] {
        assert_eq!(
            stops(format!("[A]\nk=v\n{header}\nl=w")),
            (3, Fault::UnclosedHeader, before()),
            "{header}"
        );
    }
    for header in ["[]", "[a\"]", "[a']", "[a\\b]", "[a\x01]", "[a\tb]", "[\x7f]", "[a*]", "[a?]", "[[a]"] {
        assert_eq!(stops(format!("[A]\nk=v\n{header}\nl=w")), (3, Fault::SectionName, before()), "{header}");
    }
}

#[test]
fn broken_utf8_stops_the_file() {
    for bad in
        [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbf\xbe", b"\xef\xb7\x90", b"\xf4\x90\x80\x80"]
    {
        let text = [b"[A]\nk=v\nl=", bad, b"\nm=w\n"].concat();
        assert_eq!(stops(text), (3, Fault::NotUtf8, vec!["[A] k=v".to_owned()]), "{bad:?}");
    }
    // Also before the first section, and half a character before a continuation.
    assert_eq!(stops(b"\xff\n[A]\n"), (1, Fault::NotUtf8, vec![]));
    assert_eq!(stops(b"[A]\nk=\xc3\\\n\xa9\n"), (3, Fault::NotUtf8, vec![]));
}

#[test]
fn lines_must_be_shorter_than_a_mebibyte() {
    let line = |length: usize| "k=".to_owned() + &"a".repeat(length - 2);
    assert_eq!(settings(format!("[A]\n{}\n", line(LONG_LINE_MAX - 1))).len(), 1);
    for end in ["", "\n"] {
        assert_eq!(stops(format!("[A]\nk=v\n{}{end}", line(LONG_LINE_MAX))).1, Fault::TooLong);
    }
    let comment = format!("[A]\n#{}\n", line(LONG_LINE_MAX));
    assert_eq!(stops(comment), (2, Fault::TooLong, vec![]));
    // Together continued lines may reach the limit, each by itself not.
    let half = line(LONG_LINE_MAX / 2 - 1);
    assert_eq!(settings(format!("[A]\n{half}\\\n{half}a\n")).len(), 1);
    assert_eq!(stops(format!("[A]\n{half}\\\n{half}aa\n")), (3, Fault::TooLong, vec![]));
}

#[test]
fn extensions_are_kept_and_recognized() {
    let file = parse(b"[X-A]\nk=v\n[B]\nX-k=v\nl=w\n").unwrap().file;
    assert_eq!(described(&file), ["[X-A] k=v", "[B] X-k=v", "[B] l=w"]);
    assert_eq!(described(&file.without_extensions()), ["[B] l=w"]);
}

#[test]
fn errors_and_warnings_name_file_and_line() {
    let error = parse(b"x\n[A\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2: section header does not end in ']'");
    assert_eq!(error.at("/etc/a.conf").to_string(), "/etc/a.conf:2: section header does not end in ']'");
    let warning = error.warnings[0].at("/etc/a.conf").to_string();
    assert_eq!(warning, "/etc/a.conf:1: stands before the first section, ignored");
}
