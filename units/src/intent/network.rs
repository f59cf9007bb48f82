//! The network a container is in and its interfaces: the types of those options.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::name::InterfaceName;

/// Whose network the container is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Network {
    /// Its own, with a virtual Ethernet link to the host.
    #[default]
    Private,
    /// The host's.
    Host,
    /// Its own, with only the loopback and what other options add.
    None,
}

/// An interface of the host and, after a colon, its name inside: `eth1`, `eth1:lan`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = r#"^[^\s/:%\\"']{1,15}(:[^\s/:%\\"']{1,15})?$"#)))]
pub struct InterfacePair {
    /// The name on the host.
    pub outside: InterfaceName,
    /// The name inside, if given.
    pub inside: Option<InterfaceName>,
}

impl TryFrom<String> for InterfacePair {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let (outside, inside) = match text.split_once(':') {
            Some((outside, inside)) => (outside, Some(inside)),
            None => (text.as_str(), None),
        };
        Ok(Self { outside: outside.parse()?, inside: inside.map(str::parse).transpose()? })
    }
}

impl From<InterfacePair> for String {
    fn from(pair: InterfacePair) -> Self {
        pair.to_string()
    }
}

impl std::fmt::Display for InterfacePair {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.outside.as_str())?;
        self.inside.as_ref().map_or(Ok(()), |inside| write!(out, ":{inside}"))
    }
}
