//! Commands that are killed, interrupted or failed at each of their system calls. What they leave is judged by checkers
//! that believe nothing the program says.

pub mod counts;
pub mod fault;
pub mod offline;

pub use counts::Counts;
