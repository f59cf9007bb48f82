//! Intent model and unit-file toolkit of nixos-nspawn.
pub mod syntax;
