//! The host: one file per external interface.

pub(crate) mod credentials;
pub(crate) mod elf;
pub(crate) mod files;
pub(crate) mod forwards;
pub(crate) mod gc_roots;
pub(crate) mod host_file;
pub(crate) mod inside;
pub(crate) mod intent_file;
pub(crate) mod journal;
pub(crate) mod known_settings;
pub(crate) mod last_activation;
pub(crate) mod listeners;
pub(crate) mod lock;
pub(crate) mod machined;
pub(crate) mod manager_inside;
pub(crate) mod networkd;
pub(crate) mod networkd_conf;
pub(crate) mod profile_links;
pub(crate) mod record;
pub(crate) mod remove_tree;
pub(crate) mod runtime_files;
pub(crate) mod sockets;
pub(crate) mod state_directory;
pub(crate) mod systemd;
pub(crate) mod unit_links;
pub(crate) mod update_memory;
