//! Decisions without side effects: every input is an argument, every output a value.

pub(crate) mod activation;
pub(crate) mod reach;
pub(crate) mod settlement;
pub(crate) mod which_generations;
