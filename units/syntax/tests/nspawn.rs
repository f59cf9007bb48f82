//! The unit-file toolkit against the real parser: systemd-nspawn from PATH reads generated
//! `.nspawn` files. It is given a root directory that does not exist, so that it stops right
//! behind its parser; what it says about the file goes to stderr. Needs root, changes nothing,
//! and fails rather than passes where nspawn cannot be run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy takes helpers of tests for ordinary code"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;
use std::process::Command;
use systemd_unit_syntax::{Fault, Ignored, Item, UnitFile, escape, parse, words};

/// Returns nspawn's messages about a file, without the file's name: `LINE: TEXT`.
fn complaints(file: &[u8]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("probe");
    std::fs::write(directory.path().join("probe.nspawn"), file).unwrap();
    let output = Command::new("systemd-nspawn")
        .args(["--settings=trusted", "--register=no", "--keep-unit", "--quiet", "--machine=probe"])
        .arg(format!("--directory={}", root.display()))
        .env("SYSTEMD_LOG_LEVEL", "info")
        .env("SYSTEMD_LOG_TARGET", "console")
        .env("SYSTEMD_LOG_COLOR", "0")
        .output()
        .expect("systemd-nspawn has to be on PATH");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let prefix = format!("{}.nspawn:", root.display());
    let lines: Vec<&str> = stderr.split_terminator('\n').collect();
    assert!(
        lines.iter().any(|line| line.contains(&format!("{}", root.display()))),
        "systemd-nspawn did not get as far as its settings file and root directory (is this root?): {stderr}",
    );
    lines.into_iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

/// A file with a setting at its end that nspawn does not know and so has to complain about,
/// which shows that it read all of it.
fn all_complaints(mut file: UnitFile) -> Vec<String> {
    file.section("Exec").set("LastOfAll", "");
    file.check().unwrap();
    let text = file.to_string();
    let mut complaints = complaints(text.as_bytes());
    let last = complaints.pop().unwrap_or_default();
    assert!(last.contains("Unknown key 'LastOfAll'"), "{last:?} is not about the last line of\n{text}");
    complaints
}

/// Short texts of characters that mean something somewhere.
fn hostile() -> impl Strategy<Value = String> {
    string_regex("[ \t\"'\\\\%$;#:=,\\[\\]{}~+*?/.a-cinstuxN0-9é\u{a0}\u{feff}😀]{1,12}").unwrap()
}

/// An absolute path with nothing nspawn refuses in one.
fn path() -> impl Strategy<Value = String> {
    hostile().prop_map(|text| format!("/{}x", text.replace('.', "_")))
}

fn rendered(settings: &[(&str, &str, String)]) -> UnitFile {
    let mut file = UnitFile::default();
    file.comment("systemd-nspawn\n[Nothing]");
    for (section, key, value) in settings {
        file.section((*section).to_owned()).comment("#\\").set_checked(key, value).unwrap();
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_escaped_is_taken_without_complaint(
        parameters in vec(hostile(), 1..4),
        environment in hostile(),
        directory in path(),
        hidden in path(),
        source in path(),
        destination in path(),
        layers in vec(path(), 2..5),
    ) {
        let join = |paths: &[&String]| {
            paths.iter().map(|path| escape::bind_field(path).unwrap()).collect::<Vec<_>>().join(":")
        };
        let words = parameters.iter().map(|word| escape::nspawn_word(word).unwrap()).collect::<Vec<_>>().join(" ");
        let file = rendered(&[
            ("Exec", "Boot", "yes".to_owned()),
            ("Exec", "Parameters", words.clone()),
            ("Exec", "Environment", escape::nspawn_word(&format!("A={environment}")).unwrap()),
            ("Exec", "WorkingDirectory", escape::nspawn_raw(&directory).unwrap()),
            ("Files", "Inaccessible", escape::nspawn_raw(&hidden).unwrap()),
            ("Files", "Bind", join(&[&source])),
            ("Files", "Bind", join(&[&source, &destination])),
            ("Files", "BindReadOnly", format!("{}:idmap", join(&[&source, &destination]))),
            ("Files", "TemporaryFileSystem", format!("{}:mode=0700", join(&[&destination]))),
            ("Files", "Overlay", join(&layers.iter().collect::<Vec<_>>())),
            ("X-Ours", "Any", words),
        ]);
        prop_assert_eq!(all_complaints(file), Vec::<String>::new());
    }

    /// nspawn repeats the words it does not know, so they show what it split.
    #[test]
    fn words_are_split_where_nspawn_splits_them(value in hostile()) {
        // Numbers can be capabilities.
        let value: String = value.chars().filter(|c| !c.is_ascii_digit()).collect();
        let value = value.trim_matches([' ', '\t']);
        let mut file = UnitFile::default();
        prop_assume!(file.section("Exec").set_checked("Capability", value).is_ok());
        let said: Vec<String> = all_complaints(file).iter().map(|line| ignored_value(line)).collect();
        match words::plain_words(value) {
            Ok(words) => prop_assert_eq!(said, words),
            // It complains about the value as a whole, behind the words it has got by then.
            Err(_) => prop_assert!(!said.is_empty()),
        }
    }

    #[test]
    fn quotes_and_fields_are_refused_where_nspawn_refuses_them(value in hostile()) {
        let value = value.trim_matches([' ', '\t']);
        prop_assume!(UnitFile::default().section("Exec").set_checked("Parameters", value).is_ok());
        let taken = |fields: words::BindFields| {
            let inside = fields.source.strip_prefix('+');
            let destination = fields.destination.as_deref().or(inside).unwrap_or(&fields.source);
            destination.starts_with('/') && inside.is_none_or(|inside| inside.starts_with('/'))
        };
        let mut settings = vec![("Exec", "Parameters", value.to_owned())];
        let mut refused = usize::from(words::nspawn_words(value).is_err());
        for value in [value.to_owned(), format!("/{value}"), format!("{value}:/{value}")] {
            refused += usize::from(!words::bind_fields(&value).is_ok_and(taken));
            settings.push(("Files", "Bind", value));
        }
        let complaints = all_complaints(rendered(&settings));
        prop_assert_eq!(complaints.len(), refused, "{:?}", complaints);
    }

    /// Text that may be no `.nspawn` file at all, read by both.
    #[test]
    fn lines_are_read_as_nspawn_reads_them(lines in lines()) {
        let (file, warnings, stopped) = match parse(&lines) {
            Ok(parsed) => (parsed.file, parsed.warnings, None),
            Err(error) => (error.before, error.warnings, Some((error.line, error.reason))),
        };
        // These headers are not the same to every version, see below.
        prop_assume!(!matches!(stopped, Some((_, Fault::SectionName))));
        // Of those nspawn looks at the headers only.
        prop_assume!(file.sections.iter().all(|it| it.is_extension() || known(&it.name)));
        let (settings, mut others): (Vec<_>, Vec<_>) = complaints(&lines).into_iter().partition(|line| is_of_setting(line));
        let settings: Vec<String> = settings.iter().map(|line| said_of_setting(line)).collect();
        prop_assert_eq!(settings, settings_of(&file));
        if let Some((line, reason)) = stopped {
            let (last, why) = (others.pop().unwrap_or_default(), others.pop().unwrap_or_default());
            prop_assert!(last.starts_with(&format!("{line}: Failed to parse file")), "{last:?}");
            prop_assert!(why.starts_with(&format!("{line}: ")) && why.contains(said_of_fault(reason)), "{why:?}");
        }
        let ignored: Vec<String> =
            warnings.iter().map(|it| format!("{}: {}", it.line, said_of_line(it.reason))).collect();
        prop_assert_eq!(others, ignored);
    }

    #[test]
    fn headers_are_refused_where_nspawn_refuses_them(header in "[ \"'\\\\a-cé\\]#=;]{1,6}") {
        let header = format!("[{header}");
        let refused = complaints(header.as_bytes()).iter().any(|line| line.contains("Failed to parse file"));
        // An empty name is refused from 262 on only.
        prop_assume!(header.trim_end_matches([' ', '\\']) != "[]");
        prop_assert_eq!(parse(format!("{header}\n\n").as_bytes()).is_err(), refused);
    }
}

/// Lines of any kind with any ends, in sections nspawn knows.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let some = || string_regex("[ \t\"'\\\\%;#=\\[\\]a-cé\u{feff}]{0,8}").unwrap();
    let line = prop_oneof![
        6 => (some(), "[ \t]{0,2}").prop_map(|(value, blank)| format!("{blank}Personality{blank}={value}")),
        4 => some(),
        3 => Just("[Exec]".to_owned()),
        1 => Just(" [X-Exec]\t".to_owned()),
        1 => some().prop_map(|name| format!("[{name}")),
        2 => Just("\\".to_owned()),
        2 => some().prop_map(|text| format!("# {text}")),
        1 => Just("\u{feff}Personality=b".to_owned()),
        2 => some().prop_map(|value| format!("k={value}")),
    ];
    let ends = vec!["\n", "\n", "\n", "\\\n", "\r", "\0", "\r\n", "\n\r", "\n\n", "\0\n", "\\\r\n\0"];
    let line = prop_oneof![
        20 => (line, proptest::sample::select(ends)).prop_map(|(line, end)| format!("{line}{end}").into_bytes()),
        1 => Just(b"k=\xff\n".to_vec()),
        1 => Just(b"k=\xef\xbf\xbe\n".to_vec()),
        1 => Just(b"#\xff\\\n".to_vec()),
    ];
    // A continuation that the file's end cuts off has a line number of its own in nspawn.
    let end = || b"\n\n\n".to_vec();
    let start = prop_oneof![4 => Just(b"[Exec]\n".to_vec()), 1 => Just(Vec::new())];
    (start, vec(line, 0..10)).prop_map(move |(start, lines)| [start, lines.concat(), end()].concat())
}

fn known(section: &str) -> bool {
    ["Exec", "Files", "Network"].contains(&section)
}

/// What nspawn has to say about settings none of which it knows the value or key of.
fn settings_of(file: &UnitFile) -> Vec<String> {
    let sections = file.sections.iter().filter(|section| !section.is_extension());
    let settings = sections.flat_map(|section| {
        section.items.iter().filter_map(|item| match item {
            Item::Setting { key, value } if key == "Personality" => {
                (!value.is_empty()).then(|| format!("Personality={value}"))
            }
            Item::Setting { key, .. } => {
                Some(format!("Unknown key '{key}' in section [{}], ignoring.", section.name))
            }
            Item::Comment(_) => None,
        })
    });
    settings.collect()
}

fn is_of_setting(line: &str) -> bool {
    let text = line.split_once(": ").map_or("", |(_, text)| text);
    text.starts_with("Unknown key") || text.to_lowercase().starts_with("failed to parse personality")
}

fn said_of_setting(line: &str) -> String {
    match line.split_once(": ") {
        Some((_, text)) if text.starts_with("Unknown key") => text.to_owned(),
        _ => format!("Personality={}", ignored_value(line)),
    }
}

/// The value a complaint repeats: `…, ignoring: VALUE`, or `Failed to parse KEY=VALUE, ignoring.`
fn ignored_value(line: &str) -> String {
    let new = || line.split_once('=').and_then(|(_, text)| text.strip_suffix(", ignoring."));
    let old = line.split_once("ignoring: ").map(|(_, value)| value);
    old.or_else(new).unwrap_or(line).to_owned()
}

fn said_of_line(reason: Ignored) -> &'static str {
    match reason {
        Ignored::OutsideSection => "Assignment outside of section. Ignoring.",
        Ignored::NoEquals => "Missing '=', ignoring line.",
        Ignored::NoKey => "Missing key name before '=', ignoring line.",
    }
}

fn said_of_fault(reason: Fault) -> &'static str {
    match reason {
        Fault::TooLong => "too long",
        Fault::NotUtf8 => "not UTF-8",
        Fault::UnclosedHeader | Fault::SectionName => "ection header",
    }
}
