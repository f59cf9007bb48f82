//! Compares the table of docs/decisions/interrupted.md with the tests of settlement: each row about a record is the name of
//! a test.

use std::collections::BTreeSet;

use nixos_nspawn_tests::torture::verbs::Verb;

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
        ["| create", "| clone", "| import", "| remove", "| rename", "| update", "| …"]
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

/// Commands that `make torture` does not kill: the host suite does, at each step.
const NOT_TORTURED: [&str; 2] = ["import from another program", "setup --remove"];

#[test]
fn each_command_is_killed_at_its_system_calls() {
    let page = text("docs/decisions/interrupted.md");
    let table = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cases = table.take_while(|line| line.starts_with("| ")).filter_map(|row| {
        let case = row.strip_prefix("| ")?.split(" |").next()?;
        // A state of the update above it, and what update and rollback do to snapshots.
        (!case.starts_with('…') && !case.starts_with("a snapshot")).then_some(case)
    });
    let of_table: BTreeSet<&str> = cases
        .flat_map(|case| {
            let end = [",", " undone", " after", " before", " anywhere", " while", " and "]
                .iter()
                .filter_map(|end| case.find(end))
                .min()
                .unwrap_or(case.len());
            // A list is a list of commands; anything else behind a comma tells when.
            match case.contains(" or delete-generations") {
                true => case.split([',', ' ']).collect::<Vec<_>>(),
                false => case[..end].split(" or ").collect(),
            }
        })
        .filter(|word| !word.is_empty() && *word != "or")
        .collect();
    let tortured = Verb::ALL.iter().flat_map(|verb| verb.commands()).copied();
    let killed: BTreeSet<&str> = tortured.chain(["setup"]).chain(NOT_TORTURED).collect();
    assert_eq!(of_table, killed);
}
