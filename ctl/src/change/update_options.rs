//! The options of an update.

use crate::change::switch_options::Activation;
use crate::decision::overrides::OverrideChanges;
use crate::decision::reach::Consent;
use crate::nix::source::SourceArguments;

/// The options of an update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpdateOptions<'a> {
    /// The source of the new system.
    pub(crate) source: SourceArguments<'a>,
    /// What changes in the administrator's own layer over the options of the build.
    pub(crate) overrides: Option<&'a OverrideChanges>,
    /// How it is activated.
    pub(crate) activation: Activation<'a>,
    /// The additional reach into the host that is accepted.
    pub(crate) consent: Consent<'a>,
    /// Whether to accept forwards of ports that a service of the host uses.
    pub(crate) allow_taken_ports: bool,
    /// The flake that the container must have been applied from, if `apply` updates it.
    pub(crate) applied_from: Option<&'a str>,
    /// Whether this is `--all`, which skips containers that are held or have no source.
    pub(crate) all: bool,
    /// Whether a generation that failed before is activated again.
    pub(crate) retry: bool,
}
