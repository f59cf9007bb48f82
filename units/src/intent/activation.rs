//! What an update does to a running container, and whether the container starts with the host.

use serde::{Deserialize, Serialize};

use super::object::{is_default, is_true, null_as_default, null_as_true};
use crate::value::{AbsolutePath, Text, Timespan};

/// What happens at an update, and at boot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Activation {
    /// What an update does to the running container.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Strategy>"))]
    pub strategy: Strategy,
    /// Whether the container starts with the host.
    #[serde(deserialize_with = "null_as_true", skip_serializing_if = "is_true")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub auto_start: bool,
    /// A program on the host that reloads the container, in place of `switch-to-configuration test` inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_script: Option<AbsolutePath>,
    /// The state that the container must reach after an update; otherwise the update is rolled back.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Expect>"))]
    pub expect: Expect,
    /// A shell command that must succeed inside the container after an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Text>,
    /// How long a reload, a start and the checks after it may each take; the start timeout if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timespan>,
    /// How long services that have just started must stay up after an update; 2 s if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_sec: Option<Timespan>,
    /// How long the build of an update may take; no limit if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_timeout: Option<Timespan>,
    /// Whether a snapshot of the state is kept with the old generation when an update restarts the container.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub snapshot: bool,
}

impl Default for Activation {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            auto_start: true,
            reload_script: None,
            expect: Expect::default(),
            check: None,
            timeout: None,
            settle_sec: None,
            build_timeout: None,
            snapshot: false,
        }
    }
}

/// How an update takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Strategy {
    /// At the next start.
    None,
    /// By `switch-to-configuration test` inside, or the reload script.
    Reload,
    /// By a restart.
    Restart,
    /// By a reload where that is enough, otherwise by a restart.
    #[default]
    Dynamic,
}

/// What a container must show after an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Expect {
    /// The system inside is running, no unit failed.
    Running,
    /// The system inside has started, and no unit failed that had not failed before.
    #[default]
    Degraded,
    /// The container is active.
    Active,
    /// Nothing.
    None,
}
