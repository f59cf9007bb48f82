//! systemd's configuration syntax, as `src/shared/conf-parser.c` reads it: a unit file's
//! content, its parser, how texts are written into settings and read out of them, and the
//! settings of `.nspawn` files. Pure: nothing here touches the disk, the environment or a log.

mod effective;
pub mod escape;
mod file;
pub mod settings;
pub mod words;

pub use effective::{InForce, effective};
pub use file::{Item, Section, UnitFile};
