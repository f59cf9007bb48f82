//! Kills and interrupts commands at their system calls, and makes calls fail. The checkers afterwards do not rely
//! on anything that the program says.

pub mod choice;
pub mod counts;
pub mod fault;
pub mod generator;
pub mod kills;
pub mod live;
pub mod offline;
pub mod setup;
pub mod storm;
mod tree_check;
pub mod verbs;

pub use counts::Counts;
