//! What was seen, or why it could not be looked at.

use std::io;
use std::path::Path;

/// Why something could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unseen {
    /// The path or program, and the reason.
    pub(crate) why: String,
    /// Whether root would see it.
    pub(crate) needs_root: bool,
}

/// What was seen.
pub(crate) type Seen<T> = Result<T, Unseen>;

impl Unseen {
    /// Returns the reason that only root may look.
    pub(crate) fn for_root(what: &str) -> Self {
        Self { why: format!("{what}: only root can see this"), needs_root: true }
    }

    /// Returns the reason that a path cannot be read.
    pub(crate) fn path(path: &Path, error: &io::Error) -> Self {
        let needs_root = error.kind() == io::ErrorKind::PermissionDenied;
        Self { why: format!("{}: cannot be read: {error}", path.display()), needs_root }
    }
}

impl From<anyhow::Error> for Unseen {
    fn from(error: anyhow::Error) -> Self {
        let denied = |cause: &(dyn std::error::Error + 'static)| {
            let error = cause.downcast_ref::<io::Error>();
            error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        Self { why: format!("{error:#}"), needs_root: error.chain().any(denied) }
    }
}
