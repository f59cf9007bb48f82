//! Why a document cannot be edited.

use thiserror::Error;

use crate::check::RenderError;
use crate::lines::Fault;

/// An edit that was not made; the document is as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// What was to be written is not what systemd would read.
    #[error(transparent)]
    Unwritable(#[from] RenderError),
    /// systemd stops reading at a line, so nothing in the file is sure to be in force.
    #[error("line {line}: {reason}; correct this first")]
    Unreadable {
        /// The line's number, from 1; of continued lines the last one's.
        line: usize,
        /// What is wrong with it.
        reason: Fault,
    },
}
