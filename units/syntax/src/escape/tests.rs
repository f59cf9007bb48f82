use super::*;
use crate::words::WordError;
use pretty_assertions::assert_eq;

fn refused<T: std::fmt::Debug>(result: Result<T, EscapeError>) -> EscapeError {
    result.unwrap_err()
}

#[test]
fn plain_words_stay_bare() {
    for escape in [environment, exec_argument, requires_mounts_for, nspawn_word] {
        assert_eq!(escape("/nix/store/abc-web_1.0+x").unwrap(), "/nix/store/abc-web_1.0+x");
        assert_eq!(escape("A=b:c,d@e").unwrap(), "A=b:c,d@e");
        assert_eq!(escape("").unwrap(), "\"\"");
    }
}

#[test]
fn environment_has_c_escapes_and_specifiers_but_no_variables() {
    assert_eq!(environment("A=b c").unwrap(), r#""A=b c""#);
    assert_eq!(
        environment("A=\"\\%n$HOME\n\r\t\x07\x7fé'").unwrap(),
        "\"A=\\\"\\\\%%n$HOME\\n\\r\\t\\x07\\x7fé'\"",
    );
    assert_eq!(refused(environment("A=\0")), character("A=\0", '\0'));
    assert_eq!(refused(environment("A=\u{fffe}")), character("A=\u{fffe}", '\u{fffe}'));
    assert_eq!(environment_values(r#"A=1 "B=%%h %" '' "#).unwrap(), ["A=1", "B=%h %", ""]);
    assert!(matches!(refused(environment_values("A=%h")), EscapeError::Specifier { specifier: 'h', .. }));
}

#[test]
fn an_argument_escapes_variables_and_semicolons() {
    assert_eq!(exec_argument("$A ${B} %i").unwrap(), r#""$$A $${B} %%i""#);
    assert_eq!(exec_argument(";").unwrap(), r#"";""#);
    assert_eq!(
        exec_values(r#"-/bin/x "$$A" a$b $$${C "%%i" \;"#).unwrap_err().to_string(),
        "\"$$${C\": contains an environment variable"
    );
    assert_eq!(
        exec_values(r#"-/bin/$x "$$A" a$b a$$b "%%i" \; ";""#).unwrap(),
        ["-/bin/$x", "$A", "a$b", "a$b", "%i", ";", ";"]
    );
    assert!(matches!(refused(exec_values("/bin/x $A")), EscapeError::Variable { .. }));
    assert!(matches!(
        refused(exec_values("/bin/x ; /bin/y")),
        EscapeError::Word(WordError::SecondCommand { .. })
    ));
}

#[test]
fn an_executable_is_plain_or_refused() {
    assert_eq!(executable("/nix/store/x/bin/a").unwrap(), "/nix/store/x/bin/a");
    assert_eq!(executable("/opt/my tools/50%").unwrap(), r#""/opt/my tools/50%%""#);
    for path in ["/a'b", "/a\"b", "/a\\b", "/a?b", "/a*", "/a[1]", "/a$b", "/a\tb"] {
        assert!(matches!(refused(executable(path)), EscapeError::Character { .. }), "{path}");
    }
    for path in ["", "a", "/", "/a/", "/a/.", "-/a"] {
        assert!(matches!(refused(executable(path)), EscapeError::Executable { .. }), "{path}");
    }
}

#[test]
fn mount_paths_double_the_backslash() {
    assert_eq!(requires_mounts_for(r#"/a b\c"d'%i"#).unwrap(), r#""/a b\\c\"d'%%i""#);
    assert!(matches!(refused(requires_mounts_for("/a\nb")), EscapeError::Character { character: '\n', .. }));
    assert_eq!(requires_mounts_for_values(r#"/a "/b c" /d\ e /%%"#).unwrap(), ["/a", "/b c", "/d e", "/%"]);
}

#[test]
fn raw_values_have_nothing_but_specifiers() {
    assert_eq!(unit_raw("50% of 'a' \\b").unwrap(), "50%% of 'a' \\b");
    assert_eq!(nspawn_raw("/50% of 'a' \\b").unwrap(), "/50% of 'a' \\b");
    for escape in [unit_raw, nspawn_raw] {
        assert_eq!(refused(escape("")), EscapeError::Empty);
        for value in [" a", "a\t"] {
            assert!(matches!(refused(escape(value)), EscapeError::EdgeBlank { .. }), "{value:?}");
        }
        assert!(matches!(refused(escape("a\\")), EscapeError::TrailingBackslash { .. }));
        assert_eq!(escape("a\\\\").unwrap(), "a\\\\");
        for value in ["a\nb", "a\rb", "a\0b", "a\x1bb", "a\u{fdd0}"] {
            assert!(matches!(refused(escape(value)), EscapeError::Character { .. }), "{value:?}");
        }
    }
    assert_eq!(unit_raw_value("100%").unwrap(), "100%");
    assert_eq!(unit_raw_value("%-%%i").unwrap(), "%-%i");
    assert!(matches!(refused(unit_raw_value("%i")), EscapeError::Specifier { specifier: 'i', .. }));
}

#[test]
fn nspawn_words_switch_quotes() {
    assert_eq!(nspawn_word("a b").unwrap(), r#""a b""#);
    assert_eq!(nspawn_word(r#"a"b"#).unwrap(), r#"'a"b'"#);
    assert_eq!(nspawn_word(r#""'"#).unwrap(), r#"'"'"'""#);
    assert_eq!(nspawn_word(r#"it's "it" % $ # \"#).unwrap(), r#""it's "'"it" % $ # \'"#);
    assert_eq!(nspawn_values(r#"'"'"'" "a b""#).unwrap(), ["\"'", "a b"]);
    assert!(matches!(refused(nspawn_word("a\nb")), EscapeError::Character { .. }));
}

#[test]
fn bind_fields_escape_colon_and_backslash_only() {
    assert_eq!(bind_field(r#"/a:b\c "d",%"#).unwrap(), r#"/a\:b\\c "d",%"#);
    assert_eq!(bind_field_value(r"/a\:b\\c").unwrap(), r"/a:b\c");
    assert!(matches!(refused(bind_field("/a\r")), EscapeError::Character { .. }));
}

/// Words of eight bytes are looked at together: every byte counts in every place, beside any neighbour.
#[test]
fn printable_ascii_in_every_place() {
    let all: Vec<char> = (0..=0x80).filter_map(char::from_u32).chain(['\u{ff}', '\u{ffff}']).collect();
    for length in 0..20 {
        for around in [' ', '0', '~'] {
            let text: Vec<char> = vec![around; length];
            assert!(is_printable_ascii(&text.iter().collect::<String>()));
            for (at, c) in (0..length).flat_map(|at| all.iter().map(move |c| (at, *c))) {
                let mut changed = text.clone();
                changed[at] = c;
                let changed: String = changed.iter().collect();
                assert_eq!(is_printable_ascii(&changed), (' '..='~').contains(&c), "{changed:?}");
            }
        }
    }
}
