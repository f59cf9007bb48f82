//! The error type of all modes.

use std::fmt::Display;

use nixos_nspawn_units::name::MachineName;

/// An error that ends the run.
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: u8,
    /// The message for the user.
    pub(crate) message: String,
}

impl Failure {
    /// Returns a failure with status 1, for a fault of the host or of a file.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into() }
    }

    /// Returns the failure of a start because of `at`; `next` is empty, or `; ` and the next step.
    pub(crate) fn not_started(
        at: impl Display,
        reason: impl Display,
        name: &MachineName,
        next: &str,
    ) -> Self {
        Self::new(format!("{at}: {reason}, container '{name}' is not started{next}"))
    }
}
