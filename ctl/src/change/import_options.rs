//! What a create needs to take a container over from another program.

use nixos_nspawn_units::intent::Overrides;

use crate::host::imported::Imported;

/// What is taken over.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// The options, translated.
    pub(crate) layer: Overrides,
    /// Whether the container starts with the host, if the other program says so.
    pub(crate) autostart: Option<bool>,
    /// What is moved.
    pub(crate) imported: Imported,
    /// Whether the other program's container runs, and is restarted as ours.
    pub(crate) runs: bool,
}
