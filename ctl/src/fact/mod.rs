//! Facts: what is the case. This layer reads and changes nothing.

pub(crate) mod dependents;
pub(crate) mod difference;
pub(crate) mod doctor;
pub(crate) mod gather;
pub(crate) mod generated_file;
pub(crate) mod generations;
pub(crate) mod host_network;
pub(crate) mod importable;
pub(crate) mod installation;
pub(crate) mod jobs;
pub(crate) mod known_names;
pub(crate) mod lookup;
pub(crate) mod metrics;
pub(crate) mod notes;
pub(crate) mod nspawn_root;
pub(crate) mod option_lines;
pub(crate) mod overview;
pub(crate) mod reachable;
pub(crate) mod running_settings;
pub(crate) mod setuid_places;
pub(crate) mod summary;
pub(crate) mod taken_ports;
pub(crate) mod traces;
pub(crate) mod verified;
pub(crate) mod verify_kind;
