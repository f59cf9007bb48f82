//! What `doctor` looks at, a file for each group of checks. What the caller cannot see is [`seen::Unseen`], never an
//! absence.

pub(crate) mod completions;
pub(crate) mod file_systems;
pub(crate) mod firewall;
pub(crate) mod generator;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod network_files;
pub(crate) mod nix;
pub(crate) mod ports;
pub(crate) mod records;
pub(crate) mod seen;
pub(crate) mod sources;
pub(crate) mod space;
