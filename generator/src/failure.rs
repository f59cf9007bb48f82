//! The error type of all modes.

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
}
