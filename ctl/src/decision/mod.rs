//! Decisions without side effects: every input is an argument, every output a value.

pub(crate) mod activation;
pub(crate) mod crash_loop;
pub(crate) mod settlement;
pub(crate) mod which_generations;
