//! Compares the table of docs/decisions/interrupted.md with the tests of settlement: each row about a record is the name of
//! a test.

use crate::text;

/// Returns the name that a test of a row has: its first column in lower case, without punctuation and links.
fn test_name(row: &str) -> Option<String> {
    let case = row.strip_prefix("| ")?.split(" |").next()?;
    let case = case.split(" (").next()?;
    let words = case.split(' ').map(|word| word.trim_matches([',', '…']));
    Some(words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_"))
}

#[test]
fn each_row_is_a_test() {
    let page = text("docs/decisions/interrupted.md");
    let about_records = |row: &&str| {
        ["| create", "| clone", "| remove", "| rename", "| update", "| …"]
            .iter()
            .any(|start| row.starts_with(start))
    };
    let rows: Vec<String> = page.lines().filter(about_records).filter_map(test_name).collect();
    assert!(rows.len() > 10, "found only {rows:?}");
    let source = text("ctl/src/decision/settlement/tests.rs");
    let missing: Vec<&String> = rows.iter().filter(|row| !source.contains(&format!("fn {row}()"))).collect();
    assert!(missing.is_empty(), "no tests in ctl/src/decision/settlement/tests.rs: {missing:#?}");
    // The table has all tests, except that of the offline case, which is no row.
    let tests =
        source.split("#[test]").skip(1).filter_map(|test| test.split("fn ").nth(1)?.split('(').next());
    let unknown: Vec<&str> =
        tests.filter(|test| *test != "update_below_root" && !rows.iter().any(|row| row == test)).collect();
    assert!(unknown.is_empty(), "not in docs/decisions/interrupted.md: {unknown:#?}");
}
