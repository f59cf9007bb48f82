//! How a mode of the program fails.

/// What ends a run: the exit status and the message for people.
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: u8,
    /// The message.
    pub(crate) message: String,
}

impl Failure {
    /// A fault of the host or of a file: status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into() }
    }
}
