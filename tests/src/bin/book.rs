//! `make book`: writes the source of the book to a directory, where mdBook makes HTML of it.

use std::path::PathBuf;

fn main() {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).expect("a directory");
    let _ = std::fs::remove_dir_all(&directory);
    nixos_nspawn_tests::book::write(&directory);
}
