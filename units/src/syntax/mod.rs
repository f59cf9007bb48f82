//! systemd's configuration syntax, as `src/shared/conf-parser.c` reads it.
mod file;

pub use file::{Item, Section, UnitFile};
