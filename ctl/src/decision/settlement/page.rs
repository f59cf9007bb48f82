//! Compares docs/decisions/interrupted.md with the tables.

use std::{env, fs};

use super::making::MADE;
use super::renaming::RENAMED;
use super::row::Row;
use super::switching::SWITCHED;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/decisions/interrupted.md");
/// The line above the first row, and the start of the first row of what is settled without a record.
const ABOVE: &str = "|---|---|---|\n";
const BELOW: &str = "| a snapshot ";

fn print<Seen, Settled>(rows: &[Row<Seen, Settled>]) -> String {
    rows.iter().map(|row| format!("| {} | {} | {} |\n", row.killed, row.state, row.next)).collect()
}

#[test]
fn page_has_the_rows() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (start, rest) = page.split_once(ABOVE).unwrap();
    let below = rest.find(BELOW).unwrap();
    let rows = [print(MADE), print(RENAMED), print(SWITCHED)].concat();
    if env::var_os("NIXOS_NSPAWN_BLESS").is_some() {
        fs::write(PAGE, [start, ABOVE, &rows, &rest[below..]].concat()).unwrap();
        return;
    }
    assert_eq!(rows, rest[..below], "NIXOS_NSPAWN_BLESS=1 writes the table to docs/decisions/interrupted.md");
}
