//! A file or link that the generator writes.

use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::plan::Entry;
use serde::Serialize;

/// A file or link that the generator writes.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct GeneratedFile<'a> {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link_to: Option<&'a str>,
}

impl<'a> GeneratedFile<'a> {
    /// Returns an entry of a plan.
    pub(crate) fn of(path: &str, entry: &'a Entry) -> Self {
        let (text, link_to) = match entry {
            Entry::File(text) => (Some(text.as_str()), None),
            Entry::Link(target) => (None, Some(target.as_ref())),
        };
        GeneratedFile { path: format!("/{GENERATOR_DIRECTORY}/{path}"), text, link_to }
    }
}
