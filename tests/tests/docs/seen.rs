//! Checks that docs/seen.md says about real NixOS systems what `make nixos-check` printed, for all that it asks today.

use std::collections::BTreeSet;
use std::fs;

use nixos_nspawn_tests::golden::blessing;
use nixos_nspawn_tests::host::Suite;
use nixos_nspawn_tests::nixos_seen::{GROUPS, Seen, read, table};
use pretty_assertions::assert_eq;

use crate::{path, text};

fn seen() -> Vec<Seen> {
    Suite::ALL.iter().map(|suite| read(suite.name())).collect()
}

/// The page with the table.
const PAGE: &str = "docs/seen.md";

/// The only table after this line.
const BEFORE: &str = "`make nixos-check` printed:\n\n";

#[test]
fn the_page_has_what_was_seen() {
    let page = text(PAGE);
    let at = page.find(BEFORE).expect("a place for the table") + BEFORE.len();
    let old: String = page[at..].split_inclusive('\n').take_while(|line| line.starts_with('|')).collect();
    let new = table(&seen());
    if blessing() {
        let end = at + old.len();
        fs::write(path(PAGE), format!("{}{new}{}", &page[..at], &page[end..])).expect("written");
        return;
    }
    assert_eq!(old, new, "NIXOS_NSPAWN_BLESS=1 writes it");
}

/// A check that was added or reworded is on the page only after the next `make nixos-check RECORD=1`.
#[test]
fn what_was_seen_is_what_is_asked() {
    for (script, group) in [("check", GROUPS[0]), ("check-strict", GROUPS[1]), ("check-host", GROUPS[2])] {
        let script = text(&format!("tests/nixos/{script}"));
        // One of them is asked twice, with and without a user namespace.
        let asked: BTreeSet<&str> = script
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("ok \"")?.split('"').next())
            .filter(|what| !what.contains('$'))
            .collect();
        assert!(asked.len() > 10, "{asked:?}");
        for seen in seen() {
            // A NixOS host runs on one suite.
            let Some((_, lines)) = seen.groups.iter().find(|(name, _)| name == group) else { continue };
            let answered: BTreeSet<&str> = lines
                .iter()
                .map(|line| line.what.as_str())
                .filter(|what| !what.contains("a user namespace, and with"))
                .collect();
            assert_eq!(answered, asked, "{}: run 'make nixos-check RECORD=1 PEER=...'", seen.versions);
        }
    }
}
