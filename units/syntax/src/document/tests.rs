use super::*;
use crate::lines::LONG_LINE_MAX;
use pretty_assertions::assert_eq;

/// The text of a document after an edit that must succeed.
fn edited(text: &str, edit: impl FnOnce(&mut Document) -> Result<(), EditError>) -> String {
    let mut document = Document::parse(text);
    edit(&mut document).unwrap();
    let bytes = document.to_bytes();
    assert_eq!(described(&Document::parse(bytes.clone())), described(&document), "{text:?}");
    String::from_utf8(bytes).unwrap()
}

fn described(document: &Document) -> Vec<String> {
    document.settings().map(|(section, key, value)| format!("[{section}] {key}={value}")).collect()
}

fn set(text: &str, section: &str, key: &str, value: &str) -> String {
    edited(text, |document| document.set(section, key, value))
}

fn append(text: &str, value: &str) -> String {
    edited(text, |document| document.append("A", "k", value))
}

fn remove(text: &str) -> String {
    edited(text, |document| document.remove("A", "k").map(drop))
}

#[test]
fn any_bytes_are_kept() {
    for bytes in [
        &b""[..],
        b"\n",
        b"x",
        b"[A]\r\nk = v\\\r\n  w\r\n\r\n#\xff\n;\n\tl\0",
        b"[A]\nk=\\",
        b"[A]\nk=\\\n# c",
        b"\xef\xbb\xbf[A]\nk=v\n\xef\xbb\xbfl=w\n",
        b"[A]\nk=a\\\n# c\n\xff\nl=1\n[B]",
        b"[A]\n[\n",
        b"[A]\n\xff",
    ] {
        assert_eq!(Document::parse(bytes).to_bytes(), bytes);
    }
    let long = "k".repeat(LONG_LINE_MAX);
    assert_eq!(Document::parse(long.as_str()).to_bytes(), long.as_bytes());
}

#[test]
fn it_reads_what_parse_reads() {
    let text = b"x\n# a\n[A]\nk=1\\\n# b\n 2\nno\n[X-B]\nno\n=\nl=\\\n";
    let (document, parsed) = (Document::parse(text), crate::parse(text).unwrap());
    assert_eq!(document.to_unit_file(), parsed.file);
    assert_eq!(document.warnings(), parsed.warnings);
    assert_eq!(document.error(), None);
    assert_eq!(document.sections().collect::<Vec<_>>(), ["A", "X-B"]);
    assert_eq!(document.values("A", "k").collect::<Vec<_>>(), ["1  2"]);
    for text in [&b"[A]\nk=1\nno\n[B\nl=1\n"[..], b"[A]\nk=1\\\n#c\n\xff", b"[A]\n[]\n", b"\xff\\"] {
        assert_eq!(Document::parse(text).error(), crate::parse(text).err());
    }
}

#[test]
fn a_value_changes_in_place() {
    let text = "# 1\n[A]\n # 2\n\n\tk \t=  v\nl=w\n[B]\nk=v\n";
    assert_eq!(set(text, "A", "k", "new"), text.replacen("v", "new", 1));
    assert_eq!(set(text, "A", "k", ""), text.replacen("=  v", "=", 1));
    assert_eq!(set(text, "A", "k", "v"), text);
    assert_eq!(set("[A]\nk=v", "A", "k", "w"), "[A]\nk=w");
    assert_eq!(set("[A]\r\nk=v\r\n", "A", "k", "w"), "[A]\r\nk=w\r\n");
}

#[test]
fn the_last_assignment_stays_and_resets_do() {
    assert_eq!(set("[A]\nk=1\n#\nk=2\n[B]\n[A]\nk=3\n", "A", "k", "4"), "[A]\n#\n[B]\n[A]\nk=4\n");
    assert_eq!(set("[A]\nk=\nk=1\nk=2\n", "A", "k", "3"), "[A]\nk=\nk=3\n");
    assert_eq!(set("[A]\nk=1\nk=\n", "A", "k", "2"), "[A]\nk=\nk=2\n");
    assert_eq!(set("[A]\nk=1\nk=\n", "A", "k", ""), "[A]\nk=\n");
}

#[test]
fn continuations_go_and_what_stands_between_them_stays() {
    let text = "[A]\nk = 1 \\\n# c\n ; d\n  2\\\n  3\nl=1\n";
    assert_eq!(set(text, "A", "k", "v"), "[A]\nk = v\n# c\n ; d\nl=1\n");
    assert_eq!(remove(text), "[A]\n# c\n ; d\nl=1\n");
    // The empty line ends the value, so it cannot go first, or other lines would join it.
    let text = "[A]\nk=1\\\n \nl=1\n";
    assert_eq!(append(text, "2"), "[A]\nk=1\\\n \nk=2\nl=1\n");
    assert_eq!(set(text, "A", "k", "v"), "[A]\nk=v\n \nl=1\n");
    assert_eq!(remove(text), "[A]\n \nl=1\n");
    // No '=' in the first line.
    assert_eq!(set("[A]\n\\\nk\\\n = v\n", "A", "k", "w"), "[A]\nk=w\n");
}

#[test]
fn the_end_of_the_file_may_cut_a_line_off() {
    assert_eq!(append("[A]\nk=1", "2"), "[A]\nk=1\nk=2\n");
    assert_eq!(append("[A]\nk=1\\", "2"), "[A]\nk=1\\\n\nk=2\n");
    assert_eq!(append("[A]\nk=1\\\n", "2"), "[A]\nk=1\\\n\nk=2\n");
    assert_eq!(append("[A]\nk=1\\\n# c", "2"), "[A]\nk=1\\\n# c\n\nk=2\n");
    assert_eq!(append("[A]\nk=1\\\r", "2"), "[A]\nk=1\\\r\rk=2\n");
    assert_eq!(set("[A]\nk=1\\\n# c", "A", "k", "2"), "[A]\nk=2\n# c");
    assert_eq!(set("[A]\nk=1\\", "B", "l", "2"), "[A]\nk=1\\\n\n[B]\nl=2\n");
    assert_eq!(set("[A]\\", "A", "k", "2"), "[A]\\\n\nk=2\n");
    assert_eq!(remove("[A]\nk=1\\\n# c"), "[A]\n# c");
    assert_eq!(edited("[A]\nk=1\\", |it| it.remove("A", "k").and(it.append("A", "l", "2"))), "[A]\nl=2\n");
}

#[test]
fn new_settings_go_to_the_end_of_their_section() {
    assert_eq!(set("", "A", "k", "v"), "[A]\nk=v\n");
    assert_eq!(set("# c", "A", "k", "v"), "# c\n\n[A]\nk=v\n");
    assert_eq!(set("[A]\n\n# B's.\n[B]\n", "A", "k", "v"), "[A]\nk=v\n\n# B's.\n[B]\n");
    assert_eq!(set("[A]\n#k=\n\n[B]\n", "A", "k", "v"), "[A]\n#k=\nk=v\n\n[B]\n");
    assert_eq!(set("[A]\n#k=\n[B]\n", "A", "k", "v"), "[A]\n#k=\nk=v\n[B]\n");
    assert_eq!(set("[A]\nl=1\n\n[B]\n[A]\nm=1\n\n", "A", "k", "v"), "[A]\nl=1\n\n[B]\n[A]\nm=1\nk=v\n\n");
    assert_eq!(set("[A]\r\n", "A", "k", "v"), "[A]\r\nk=v\r\n");
    assert_eq!(edited("[A]\n", |it| it.add_section("B").and(it.add_section("A"))), "[A]\n\n[B]\n");
}

#[test]
fn a_list_changes_where_it_differs() {
    let list = |text: &str, values: &[&str]| edited(text, |it| it.set_all("A", "k", values));
    let text = "[A]\nk=\nk=1\n# of 2\nk=2\nk=3\n";
    assert_eq!(list(text, &["1", "2", "3"]), text);
    assert_eq!(list(text, &["1", "3"]), "[A]\nk=\nk=1\n# of 2\nk=3\n");
    assert_eq!(list(text, &["1", "4", "3"]), "[A]\nk=\nk=1\n# of 2\nk=4\nk=3\n");
    assert_eq!(list(text, &["0", "1", "2", "3"]), "[A]\nk=\nk=0\nk=1\n# of 2\nk=2\nk=3\n");
    assert_eq!(list(text, &["1", "2", "3", "4", "5"]), format!("{text}k=4\nk=5\n"));
    assert_eq!(list(text, &[]), "[A]\nk=\n# of 2\n");
    assert_eq!(list("[A]\nk=1\n", &["0", "1"]), "[A]\nk=0\nk=1\n");
    assert_eq!(list("[A]\nk=1\nk=\n", &["2", "3"]), "[A]\nk=\nk=2\nk=3\n");
    assert_eq!(list("", &["1", "2"]), "[A]\nk=1\nk=2\n");
    assert_eq!(list("", &[]), "");
}

#[test]
fn assignments_and_sections_can_be_removed() {
    assert_eq!(remove("[A]\nk=1\nl=1\nk=\n[B]\nk=1\n[A]\nk=2"), "[A]\nl=1\n[B]\nk=1\n[A]\n");
    let section = |text: &str| edited(text, |it| it.remove_section("A").map(drop));
    assert_eq!(section("# 0\n[A]\nk=1\\\n# 1\n\n\n# B's\n[B]\n[A]\n#\n"), "# 0\n# B's\n[B]\n");
    assert_eq!(section("[B]\n\n[A]\nk=1\\"), "[B]\n\n");
}

#[test]
fn the_byte_order_mark_stays_since_systemd_skips_one() {
    let text = "\u{feff}[A]\nk=1\n\u{feff}k=2\n";
    assert_eq!(set(text, "A", "k", "3"), "\u{feff}[A]\nk=3\n\u{feff}k=2\n");
    assert_eq!(edited(text, |it| it.remove_section("A").map(drop)), "\u{feff}\n");
    let text = "[A]\n\u{feff}k=1\n\u{feff}k=2\n";
    assert_eq!(set(text, "A", "k", "3"), "[A]\n\u{feff}k=3\n\u{feff}k=2\n");
    assert_eq!(remove(text), "[A]\n\u{feff}\n\u{feff}k=2\n");
    let text = "[A]\nk=1\\\n\u{feff}2\n\u{feff}k=2\n";
    assert_eq!(set(text, "A", "k", "3"), "[A]\n\u{feff}k=3\n\u{feff}k=2\n");
    assert_eq!(remove(text), "[A]\n\u{feff}\n\u{feff}k=2\n");
}

#[test]
fn a_refused_edit_changes_nothing() {
    let mut document = Document::parse("[A]\nk=1\n");
    for (section, key, value) in
        [("A", "k", "1\n2"), ("A", "k", "1\\"), ("A", "k", " 1"), ("A", "#k", ""), ("A]\nk=1\n[B", "k", "")]
    {
        assert!(matches!(document.set(section, key, value), Err(EditError::Unwritable(_))), "{value:?}");
        assert!(document.append(section, key, value).is_err());
        assert!(document.set_all(section, key, &["2", value]).is_err());
    }
    assert!(document.add_section("").is_err());
    assert!(document.set("A", "k", &"1".repeat(LONG_LINE_MAX)).is_err());
    assert_eq!(document.to_bytes(), b"[A]\nk=1\n");

    let mut document = Document::parse("[A]\nk=1\n\n[B\n");
    let error = document.set("A", "k", "2").unwrap_err();
    assert_eq!(error.to_string(), "line 4: section header does not end in ']'; correct this first");
    assert!(document.remove("A", "k").is_err() && document.remove_section("A").is_err());
}

#[test]
fn a_long_value_costs_the_blanks() {
    let text = format!("[A]\nk ={}1\n", " ".repeat(100));
    let value = "v".repeat(LONG_LINE_MAX - 50);
    assert_eq!(set(&text, "A", "k", &value), format!("[A]\nk={value}\n"));
}

/// Removing lines one by one would take minutes.
#[test]
fn large_files_are_edited_in_time() {
    let line = "k=\\\n1\n#\n";
    let text = format!("[A]\n{}", line.repeat(100_000));
    let begin = std::time::Instant::now();
    assert_eq!(remove(&text), format!("[A]\n{}", "#\n".repeat(100_000)));
    assert_eq!(set(&text, "A", "k", "2").len(), "[A]\nk=2\n".len() + 200_000);
    assert!(begin.elapsed() < std::time::Duration::from_secs(60), "{:?}", begin.elapsed());
}
