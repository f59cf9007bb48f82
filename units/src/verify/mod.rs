//! Finds everything that systemd, or nixos-nspawn, would refuse or ignore in a file: what `systemd-analyze verify` does
//! for units, for `.nspawn` files and our own. Pure: bytes in, findings out.
//!
//! For `.nspawn` files the findings are those of `systemd-nspawn`'s own parser in the given version, value by value; its
//! complaints and ours are compared by the test `verify_nspawn`.

mod finding;
mod json;
mod nspawn;
mod unit;
mod values;

pub use finding::{Effect, Finding, Place};
pub use json::{data, host, intent, nspawn_of};
pub use nspawn::nspawn;
pub use unit::{settings, unit};

/// The oldest systemd whose parser is known.
pub const OLDEST: u32 = 257;

/// The newest systemd whose parser is known; newer ones are taken to be like it.
pub const NEWEST: u32 = 262;
