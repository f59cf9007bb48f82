//! Harness of the tests: golden cases, trees for `--root`, throwaway hosts, and the real parsers of systemd.

pub mod answers;
pub mod book;
pub mod golden;
pub mod host;
pub mod imports;
pub mod manifest;
pub mod network_state;
pub mod nix;
pub mod nixos_numbers;
pub mod nixos_seen;
pub mod nspawn_files;
pub mod nspawn_parser;
pub mod offline;
pub mod options_doc;
pub mod picture;
pub mod random;
pub mod reference;
pub mod session;
pub mod setup;
pub mod systemd;
pub mod torture;
pub mod transcript;
pub mod vm;
pub mod worst;
