#![doc = include_str!("../README.md")]

mod check;
mod document;
mod effective;
pub mod escape;
mod file;
mod lines;
mod merged;
mod parse;
pub mod settings;
pub mod words;

pub use check::{RenderError, ValueFault};
pub use document::{Document, EditError};
pub use effective::{InForce, effective};
pub use file::{Item, Section, UnitFile};
pub use lines::{Fault, Ignored, Line, Lines, is_section_name, lines, was_section_name};
pub use merged::{Assignment, Merged, drop_in_order};
pub use parse::{Located, Parsed, SyntaxError, Warning, parse};
