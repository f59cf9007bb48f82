//! Decisions without side effects: all inputs are arguments, all outputs are values.

pub(crate) mod activation;
pub(crate) mod activation_order;
pub(crate) mod claims;
pub(crate) mod crash_loop;
pub(crate) mod doctor;
pub(crate) mod host_flake;
pub(crate) mod overrides;
pub(crate) mod reach;
pub(crate) mod settlement;
pub(crate) mod which_generations;
pub(crate) mod word;
