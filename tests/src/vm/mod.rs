//! Hosts as virtual machines under qemu, emulated without KVM: power cuts, and what only a kernel of its own shows.

pub mod checks;
mod cpio;
pub mod cuts;
mod examine;
mod image;
mod kernel;
mod machine;
mod qemu;
mod verbs;

pub use image::{FileSystem, Image};
