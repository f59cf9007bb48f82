//! Translates what other programs record of a container into options of ours. Pure; what has no counterpart is listed.

pub(crate) mod conf;
mod flags;
pub(crate) mod limits;
mod mounts;
mod network;
pub(crate) mod nixos_container;
pub(crate) mod nspawn;
mod translation;

pub(crate) use translation::Translation;

#[cfg(test)]
mod nspawn_tests;
#[cfg(test)]
mod tests;
