//! Why a text does not fit into a setting, or a setting into a text.

use thiserror::Error;

use crate::words::WordError;

/// Why a text cannot be written, or a written one cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EscapeError {
    /// A character the place cannot hold.
    #[error("{value:?}: character {character:?} cannot be written here")]
    Character {
        /// The whole text.
        value: String,
        /// The first such character.
        character: char,
    },
    /// A blank at the beginning or the end, which systemd would strip.
    #[error("{value:?}: begins or ends in a blank, which would be lost")]
    EdgeBlank {
        /// The whole text.
        value: String,
    },
    /// An odd number of backslashes at the end, which would join the next line.
    #[error("{value:?}: ends in a backslash, which would join the next line")]
    TrailingBackslash {
        /// The whole text.
        value: String,
    },
    /// An empty text, where that means "forget the setting".
    #[error("an empty value would reset the setting")]
    Empty,
    /// Not the path of an executable.
    #[error("{value:?}: not the absolute path of an executable")]
    Executable {
        /// The whole text.
        value: String,
    },
    /// `%` with a letter or digit behind it, which systemd expands.
    #[error("{value:?}: contains the specifier %{specifier}")]
    Specifier {
        /// The whole text.
        value: String,
        /// The character behind the `%`.
        specifier: char,
    },
    /// `$NAME` or `${NAME}`, whose value is known only when the command runs.
    #[error("{value:?}: contains an environment variable")]
    Variable {
        /// The whole text.
        value: String,
    },
    /// The value does not split into words.
    #[error(transparent)]
    Word(#[from] WordError),
}
