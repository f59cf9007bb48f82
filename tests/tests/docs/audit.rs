//! Compares docs/hardening.md with what `audit` does: its rows with their weights and options, and the options that open
//! nothing. Each option is one or the other.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_units::audit::{Audit, Row};
use nixos_nspawn_units::intent::Container;
use serde_json::{Value, json};

use crate::reach::{container, sample, set, table};
use crate::text;

/// Returns the rows of a table below a heading, by their cells.
fn cells(heading: &str) -> Vec<Vec<String>> {
    let page = text("docs/hardening.md");
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let part = rest.split("\n## ").next().unwrap_or_default();
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Returns the code spans of a cell.
fn spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn page_has_the_rows() {
    let audit = Audit::of(&Container::default());
    let mut rows: BTreeMap<String, (String, Vec<String>)> = audit
        .rows()
        .iter()
        .map(|row| {
            let settings = row.settings.iter().map(|one| (*one).to_owned()).collect();
            (row.id.to_owned(), (row.weight.to_string(), settings))
        })
        .collect();
    for row in cells("What is audited") {
        let [id, weight, settings, _] = &row[..] else { panic!("{row:?}") };
        let id = spans(id).remove(0);
        let known = rows.remove(&id).unwrap_or_else(|| panic!("{id} is no row, or there twice"));
        assert_eq!((weight.clone(), spans(settings)), known, "{id}");
    }
    assert!(rows.is_empty(), "not in docs/hardening.md: {rows:?}");
}

/// Returns a value that opens something, if one does.
fn opening(option: &str) -> Value {
    match option {
        "capabilities.add" => json!(["CAP_SYS_TIME"]),
        "rlimits" => json!({"RTPRIO": 9}),
        "oomScoreAdjust" => json!(-5),
        "tmpfs" => json!(["/x"]),
        _ => sample(option),
    }
}

#[test]
fn every_option_is_accounted_for() {
    let nothing: BTreeSet<String> =
        cells("Options that open nothing").iter().flat_map(|row| spans(&row[0])).collect();
    let without = container(json!({}));
    let before = Audit::of(&without);
    let names = |row: &Row, option: &str| {
        let part = option.split('.').next().unwrap_or(option);
        row.settings
            .iter()
            .any(|one| *one == option || *one == part || one.starts_with(&format!("{option}.")))
    };
    let mut seen = BTreeSet::new();
    for (option, _) in table() {
        let with = Audit::of(&container(set(&option, &opening(&option))));
        let of = |audit: &Audit, id: &str| audit.rows().iter().find(|row| row.id == id).cloned();
        let changed: Vec<Row> =
            with.rows().iter().filter(|row| of(&before, row.id).as_ref() != Some(*row)).cloned().collect();
        if nothing.contains(&option) {
            assert!(changed.is_empty(), "{option} opens something: {changed:?}");
            seen.insert(option);
        } else if option == "sharedNix" {
            assert!(with.rows().iter().any(|row| row.id == option && row.exposure == 100));
        } else {
            assert!(changed.iter().any(|row| names(row, &option)), "no row for {option}: {changed:?}");
        }
    }
    assert_eq!(seen, nothing);
}
