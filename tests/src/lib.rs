//! Harness of the tests: golden cases, trees for `--root`, throwaway hosts, and the real parsers of systemd.
//!
//! Without the feature `programs`, which compiles the programs into it, it has what `make demo` needs.

pub mod answers;
pub mod book;
pub mod golden;
#[cfg_attr(not(feature = "programs"), allow(dead_code, unused_imports))]
pub mod host;
pub mod imports;
pub mod manifest;
pub mod network_state;
pub mod nix;
#[cfg(feature = "programs")]
pub mod nixos_numbers;
pub mod nixos_seen;
#[cfg(feature = "programs")]
pub mod nspawn_files;
pub mod nspawn_parser;
pub mod offline;
pub mod options_doc;
pub mod picture;
pub mod random;
#[cfg(feature = "programs")]
pub mod reference;
pub mod session;
pub mod setup;
pub mod systemd;
#[cfg(feature = "programs")]
pub mod torture;
pub mod transcript;
#[cfg(feature = "programs")]
pub mod vm;
#[cfg(feature = "programs")]
pub mod worst;
