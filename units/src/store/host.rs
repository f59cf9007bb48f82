//! The host as host.json describes it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::intent::Version;
use crate::invalid::Invalid;
use crate::version::OLDEST;

/// What must be known about the host, from host.json.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// The version of the format, 1.
    pub version: Version,
    /// The version of the host's systemd; the oldest supported one if nothing is recorded.
    pub systemd: u32,
    /// How many containers may be starting at the same time at boot; no limit if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_limit: Option<BootLimit>,
}

impl Default for Host {
    fn default() -> Self {
        Self { version: Version, systemd: OLDEST, boot_limit: None }
    }
}

/// How many containers may be starting at the same time, from 1 to 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct BootLimit(u32);

impl BootLimit {
    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for BootLimit {
    type Error = Invalid;
    fn try_from(number: i64) -> Result<Self, Invalid> {
        match u32::try_from(number) {
            Ok(limit @ 1..=10_000) => Ok(Self(limit)),
            _ => Err(Invalid::new(&number.to_string(), "is not a number of containers (1 to 10000)")),
        }
    }
}

impl FromStr for BootLimit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid::new(text, "is not a number of containers (1 to 10000)");
        text.parse::<i64>().map_err(|_| bad()).and_then(|number| Self::try_from(number).map_err(|_| bad()))
    }
}

impl From<BootLimit> for u32 {
    fn from(limit: BootLimit) -> u32 {
        limit.0
    }
}
