//! What `doctor` says about what it has seen, a file for each group of checks.

pub(crate) mod completions;
pub(crate) mod file_systems;
pub(crate) mod firewall;
pub(crate) mod fix;
pub(crate) mod generator;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod network_files;
pub(crate) mod nix;
mod packet;
pub(crate) mod ports;
pub(crate) mod records;
pub(crate) mod sources;
pub(crate) mod space;
mod sysctl;
pub(crate) mod units;
pub(crate) mod verdict;
mod words;
