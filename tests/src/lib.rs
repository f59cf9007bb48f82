//! Tests.

pub mod golden;
pub mod host;
pub mod manifest;
pub mod nix;
pub mod reference;
pub mod setup;
pub mod systemd;
