//! The administrator's own layer over the options of a build, which updates and rollbacks keep.

use serde::{Deserialize, Serialize};
#[cfg(feature = "schema")]
use serde_json::{Map, Value};

use super::free_json::Json;
use super::object::{is_default, null_as_default};

/// What the administrator of the host has set for a container. The `container` of the same intent already has it; it is
/// recorded so that the next build gets it as well.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overrides {
    /// Options with another value than the build's, by path, such as `activation.autoStart`; null stands for the default.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Map<String, Value>>"))]
    pub set: Json,
    /// Values that are added to the build's lists, by path, such as `bindMounts`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<std::collections::BTreeMap<String, Vec<Value>>>")
    )]
    pub add: Json,
}

impl Overrides {
    /// Returns whether nothing is overridden.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty()
    }
}
