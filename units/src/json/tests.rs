#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

use serde::Deserialize;
use serde_json::{Value, json};

use super::reader::{MAX_COUNT, MAX_DEPTH, MAX_ELEMENTS};
use super::{check, field_names, find, line_and_column, read, read_except, read_known};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    inner: Vec<Inner>,
    #[serde(default)]
    size: Option<u64>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    word: Word,
    #[serde(default)]
    yes: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    One,
    Two,
}

/// Returns place, path and message of an error.
fn refused<T: for<'a> Deserialize<'a>>(text: &str) -> String {
    let error = read::<T>(text).map(drop).unwrap_err();
    let (line, column) = line_and_column(text, error.offset());
    format!("{line}:{column} {}: {error}", error.field())
}

#[test]
fn structs() {
    let read = read::<Outer>(r#" {"inner": [{"word": "one"}, {"yes": true, "word": "two"}], "size": 7} "#);
    let inner = vec![Inner { word: Word::One, yes: false }, Inner { word: Word::Two, yes: true }];
    assert_eq!(read.unwrap(), Outer { inner, size: Some(7) });
    for (number, expected) in [("7.0", 7), ("1e3", 1000), ("0.0", 0), ("2.5e1", 25)] {
        let text = format!("{{\"inner\": [], \"size\": {number}}}");
        assert_eq!(super::read::<Outer>(&text).unwrap().size, Some(expected), "{number}");
    }
    assert!(super::read::<Outer>(r#"{"inner": [], "size": 1e17}"#).is_err());
    assert_eq!(field_names::<Outer>(), ["inner", "size"]);
    assert_eq!(field_names::<bool>(), [""; 0]);
}

#[test]
fn errors_have_their_place_and_path() {
    for (text, expected) in [
        (
            "{\"inner\": [],\n \"size\": -1}",
            "2:10 size: invalid value: integer '-1', expected a whole number, not negative",
        ),
        (
            "{\"inner\": [],\n \"size\": 1.5}",
            "2:10 size: invalid type: number '1.5', expected a whole number, not negative",
        ),
        (
            "{\"inner\": [],\n \"size\": \"ä\", \"x\": 1}",
            "2:10 size: invalid type: string \"ä\", expected a whole number, not negative",
        ),
        (
            "{\"inner\": [\n{\"word\": \"one\"},\n {\"word\":\t\"three\"}]}",
            "3:11 inner[1].word: 'three' is not 'one' or 'two'",
        ),
        (
            "{\"inner\": [{\"word\": {\"one\": null}}]}",
            "1:21 inner[0].word: invalid type: object, expected a string",
        ),
        ("{\"inner\": [{\"word\": 1}]}", "1:21 inner[0].word: invalid type: integer '1', expected a string"),
        ("{\"inner\": [[\"one\"]]}", "1:12 inner[0]: invalid type: list, expected an object"),
        ("[[], 1]", "1:1 : invalid type: list, expected an object"),
        ("{\"inner\": {}}", "1:11 inner: invalid type: object, expected a list"),
        ("{\"inner\": [{\n}]}", "1:12 inner[0]: missing field 'word'"),
        ("{\n}", "1:1 : missing field 'inner'"),
        ("{\"inner\": [{\"word\": \"one\",\n\"wort\": 1}]}", "2:1 inner[0].wort: is not known"),
        ("{\"inner\": [{\"word\": \"one\",\n\"word\": \"one\"}]}", "2:1 inner[0]: duplicate field 'word'"),
        (
            "{\"inner\": [{\"word\": \"one\",\n\"w\\u006frd\": \"one\"}]}",
            "2:1 inner[0]: duplicate field 'word'",
        ),
        ("{\"inner\": [], \"size\": 1} 2", "1:26 : is not JSON: trailing characters"),
        ("{\"inner\": [}", "1:12 : is not JSON: expected value"),
    ] {
        assert_eq!(refused::<Outer>(text), expected, "{text}");
    }
}

#[test]
fn texts_that_are_no_json() {
    for (text, expected) in [
        ("", "1:1 : is not JSON: EOF while parsing a value"),
        ("nul", "1:4 : is not JSON: EOF while parsing a value"),
        ("nuLl", "1:3 : is not JSON: expected null, true or false"),
        ("[1,]", "1:4 : is not JSON: trailing comma"),
        ("[1 2]", "1:4 : is not JSON: expected ',' or ']'"),
        ("[1", "1:3 : is not JSON: EOF while parsing a list"),
        ("{\"a\" 1}", "1:6 : is not JSON: expected ':'"),
        ("{\"a\":1,}", "1:8 : is not JSON: trailing comma"),
        ("{\"a\":1;", "1:7 : is not JSON: expected ',' or '}'"),
        ("{a:1}", "1:2 : is not JSON: key must be a string"),
        ("{\"a\":1", "1:7 : is not JSON: EOF while parsing an object"),
        ("\"a\nb\"", "1:3 : is not JSON: control character (\\u0000-\\u001F) found while parsing a string"),
        ("\"\\x\"", "1:3 : is not JSON: invalid escape"),
        ("\"\\ud800\"", "1:8 : is not JSON: lone surrogate in hex escape"),
        ("\"\\udc00\"", "1:8 : is not JSON: lone surrogate in hex escape"),
        ("\"\\u12", "1:6 : is not JSON: EOF while parsing a string"),
        ("01", "1:3 : is not JSON: invalid number"),
        ("-", "1:2 : is not JSON: EOF while parsing a value"),
        ("1.x", "1:3 : is not JSON: invalid number"),
        ("1e999", "1:6 : is not JSON: number out of range"),
        ("\u{feff}1", "1:1 : is not JSON: expected value"),
    ] {
        assert_eq!(refused::<Value>(text), expected, "{text}");
        assert!(check(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
}

#[test]
fn strings_and_numbers() {
    for text in [
        r#""\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00ä""#,
        "[0, -0, 1, -1, 18446744073709551615, 18446744073709551616, -9223372036854775808, 1.5e3, 1E-2]",
    ] {
        assert_eq!(read::<Value>(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for depth in [MAX_DEPTH, MAX_DEPTH + 1, 100_000] {
        let is_good = depth <= MAX_DEPTH;
        assert_eq!(read::<Value>(&nested(depth)).is_ok(), is_good, "{depth}");
        assert_eq!(check(&nested(depth)).is_ok(), is_good, "{depth}");
        assert_eq!(serde_json::from_str::<Value>(&nested(depth)).is_ok(), is_good, "{depth}");
    }
}

#[test]
fn the_number_of_values_is_bounded() {
    let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    assert!(check(&list(MAX_COUNT)).is_ok());
    assert_eq!(check(&list(MAX_COUNT + 1)).unwrap_err().to_string(), "holds more than 65536 values");

    assert!(read::<Value>(&list(MAX_ELEMENTS)).is_ok());
    let place = 2 * MAX_ELEMENTS + 2;
    assert_eq!(
        refused::<Value>(&list(MAX_ELEMENTS + 1)),
        format!("1:{place} : holds more than 16384 values")
    );
    let inner = format!("{{\"a\": {}}}", list(MAX_ELEMENTS + 1));
    assert_eq!(refused::<Value>(&inner), format!("1:{} a: holds more than 16384 values", place + 6));

    let object = |count: usize| {
        let fields: Vec<String> = (0..count).map(|at| format!("\"{at}\":0")).collect();
        format!("{{{}}}", fields.join(","))
    };
    assert!(read::<Value>(&object(MAX_ELEMENTS)).is_ok());
    assert!(refused::<Value>(&object(MAX_ELEMENTS + 1)).ends_with(": holds more than 16384 values"));
}

#[test]
fn fields_that_are_passed_over() {
    let text = r#"{"version": 1, "inner": [{"a.b": [{}], "word": "one"}], "more": {}}"#;
    let (outer, passed_over) = read_known::<Outer>(text, "version").unwrap();
    assert_eq!(outer.inner.len(), 1);
    let fields: Vec<&str> = passed_over.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["inner[0].a.b", "more"]);
    assert_eq!((passed_over[0].name.as_str(), passed_over[0].known), ("a.b", field_names::<Inner>()));
    assert_eq!(read_except::<Outer>(text, "version").unwrap_err().field(), "inner[0].a.b");
    assert!(read_except::<Outer>(r#"{"version": [], "inner": []}"#, "version").is_ok());
}

#[test]
fn values_are_found() {
    let text = json!({"a": {"b": [1, 2], "c": "d"}, "e": null}).to_string();
    let found = |path: &[&str]| find(&text, path).map(|found| found.text);
    assert_eq!(found(&["a", "b"]), Some("[1,2]"));
    assert_eq!(found(&["a", "c"]), Some("\"d\""));
    assert_eq!(found(&["e"]), Some("null"));
    assert_eq!(found(&[]), Some(text.as_str()));
    for path in [&["a", "x"][..], &["e", "a"], &["a", "b", "0"]] {
        assert_eq!(found(path), None, "{path:?}");
    }
}
