//! Installs the generator, its unit helper and the Nix files on a system without a package of them, and removes them
//! again. Programs are copied, since /nix may not be mounted when generators run; the files are embedded in this
//! program. Each step is reported when it is done, or in a dry run when it would be.

mod install;
mod places;
mod remove;
mod steps;

pub(crate) use install::{install, record_host};
pub(crate) use remove::remove;
pub(crate) use steps::{SetupOptions, SetupStep};
