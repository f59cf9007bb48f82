//! Commands that are killed, interrupted or failed at each of their system calls. What they leave is judged by checkers
//! that believe nothing the program says.

pub mod counts;
pub mod fault;
pub mod generator;
pub mod kills;
pub mod live;
pub mod offline;
pub mod storm;
pub mod verbs;

pub use counts::Counts;
