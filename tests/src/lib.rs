//! Tests.

pub mod host;
