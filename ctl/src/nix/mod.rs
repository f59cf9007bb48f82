//! Nix: sources, building, and what built profiles say.

pub(crate) mod attributes;
pub(crate) mod build;
pub(crate) mod builds;
pub(crate) mod cause;
pub(crate) mod checkout;
mod closures;
pub(crate) mod configuration;
pub(crate) mod files;
pub(crate) mod flake;
mod generations;
pub(crate) mod host_containers;
mod last_build;
pub(crate) mod local_path;
pub(crate) mod metadata;
pub(crate) mod missing_host;
pub(crate) mod profile;
pub(crate) mod python_network;
pub(crate) mod python_profile;
pub(crate) mod python_service;
pub(crate) mod resolve;
pub(crate) mod root_store;
pub(crate) mod source;
pub(crate) mod tool;
mod transfer;
