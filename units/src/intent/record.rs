//! The record of one container: the system it runs, where that comes from, and the options.

use serde::{Deserialize, Serialize};

use super::container::Container;
use super::object::{is_default, null_as_default};
use super::overrides::Overrides;
use crate::name::MachineName;
use crate::value::{AbsolutePath, StorePath, Text};

/// One container, as recorded in /etc/nixos-nspawn/NAME.json.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Intent {
    /// The version of the format, 1.
    pub version: Version,
    /// The name of the container; must equal the file name without `.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<MachineName>,
    /// The NixOS system to run: the store path that holds `init`.
    pub toplevel: StorePath,
    /// Where the system comes from, for updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The Nix profile that keeps the generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<AbsolutePath>,
    /// The generation of the profile that `toplevel` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The administrator's override of `container.activation.autoStart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// The administrator's own layer over the options of the build. `container` already has it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Overrides>"))]
    pub overrides: Overrides,
    /// The container's options: those in the build's data.json, with the overrides.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Container>"))]
    pub container: Container,
}

impl Intent {
    /// Returns a new intent for `toplevel` with default options.
    pub fn new(name: MachineName, toplevel: StorePath) -> Self {
        Self {
            version: Version,
            name: Some(name),
            toplevel,
            source: None,
            profile: None,
            generation: None,
            autostart: None,
            overrides: Overrides::default(),
            container: Container::default(),
        }
    }

    /// Returns whether the container starts with the host: the administrator's override, else the container's option.
    pub fn starts_at_boot(&self) -> bool {
        self.autostart.unwrap_or(self.container.activation.auto_start)
    }

    /// Returns the text of the intent file. Fields at their default are left out, so that an older generator can read
    /// what a newer ctl wrote.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// The number 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u64", into = "u64")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("const" = 1)))]
pub struct Version;

impl TryFrom<u64> for Version {
    type Error = String;
    fn try_from(number: u64) -> Result<Self, String> {
        match number {
            1 => Ok(Self),
            other => Err(format!("version {other} is not known, this nixos-nspawn knows version 1")),
        }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> u64 {
        1
    }
}

/// Where a container's system comes from: one of `flake`, `config` or `profile`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// A flake reference with the attribute, `github:me/infra#web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<Text>,
    /// The user ID that owns the Git checkout of `flake`, if that is not root. Nix reads it as that user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// The locked flake reference at build time, with revision or hash: of the flake, or of `nixpkgs` for a
    /// configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Text>,
    /// A NixOS configuration file, or a directory with a default.nix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<AbsolutePath>,
    /// A profile that was built elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<AbsolutePath>,
    /// The Nix system the container was built for, `x86_64-linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Text>,
    /// The nixpkgs used for `config`, a path or a flake reference; `<nixpkgs>` if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nixpkgs: Option<Text>,
    /// Further arguments for Nix, one word each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nix_args: Vec<Text>,
    /// Whether `apply` created the container from `flake`, and so changes it with the flake, and may remove it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub applied: bool,
}
