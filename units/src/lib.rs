//! The library of nixos-nspawn: the intent model, its checks, and the units made of it. Files are read and written with
//! `systemd_unit_syntax`.
//!
//! Imports go one way (docs/architecture.md). Invariants:
//! 1. Only [`store`], [`write`] and [`copies`] touch the disk; nothing here logs, or reads the environment, the clock or
//!    the network.
//! 2. [`plan`] is pure: the same intents in any order, and planned by any number of threads, give the same bytes. Writing
//!    the same plan twice changes nothing on disk.
//! 3. A bad intent affects no other; a conflict affects only its claimants and names them all.
//! 4. A valid intent renders to text that systemd's own parsers accept without a warning.

pub mod audit;
pub mod boot;
pub mod change;
pub mod conflict;
pub mod copies;
pub mod deadline;
pub mod intent;
pub mod invalid;
mod json;
pub mod name;
pub(crate) mod nearest;
pub mod network;
pub mod nspawn;
mod number_type;
pub mod ordering;
mod parallel;
pub mod plan;
pub mod reach;
pub mod resolve;
pub mod service;
pub mod socket;
pub mod store;
mod string_type;
pub mod value;
pub mod verify;
pub mod version;
pub mod write;

/// Returns the JSON Schema of an intent file, made from the types.
#[cfg(feature = "schema")]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(intent::Intent).to_value()
}

/// Names that the rules of an intent know, for checks in other languages: capabilities, the settings of a `.nspawn` file by
/// section, and the settings of [Service] that are refused.
#[cfg(feature = "schema")]
pub fn known_names() -> serde_json::Value {
    intent::known_names()
}
