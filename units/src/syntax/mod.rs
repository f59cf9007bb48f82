//! systemd's configuration syntax, as `src/shared/conf-parser.c` reads it.
pub mod escape;
mod file;
pub mod words;

pub use file::{Item, Section, UnitFile};
