//! Credentials: the id by which services inside load one, and where on the host it comes from. Whether it exists is
//! known only at the start.

use serde::{Deserialize, Serialize};

use super::object::{is_default, null_as_default};
use crate::invalid::Invalid;
use crate::name::CredentialId;
use crate::string_type::string_type;
use crate::value::plain_path;

/// A credential: its id inside, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credential {
    /// The id inside the container.
    pub id: CredentialId,
    /// Where it comes from; by default the credential of that id in the host's credential store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<CredentialSource>,
    /// Whether it is encrypted on the host by `systemd-creds encrypt` (`LoadCredentialEncrypted=`).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub encrypted: bool,
}

impl Credential {
    /// The absolute path it is read from, unless it comes from the credential store.
    pub fn file(&self) -> Option<&str> {
        self.path.as_ref().and_then(CredentialSource::path)
    }

    /// The path, or the name in the credential store.
    pub fn source(&self) -> &str {
        self.path.as_ref().map_or(self.id.as_str(), CredentialSource::as_str)
    }

    /// The setting of the unit that loads it (`systemd.exec(5)`).
    pub fn setting(&self) -> &'static str {
        if self.encrypted { "LoadCredentialEncrypted" } else { "LoadCredential" }
    }
}

string_type! {
    /// An absolute path, or the name of a credential that the host's service manager can find (`LoadCredential=`).
    CredentialSource, check_credential_source, r"^(/[^\x00-\x20\x7f\\]*|[!#%&(-.0-9;-\[\]-~]{1,255})$"
}

fn check_credential_source(text: &str) -> Result<(), Invalid> {
    if text.starts_with('/') {
        plain_path(text)
    } else {
        text.parse::<CredentialId>()
            .map(|_| ())
            .map_err(|_| Invalid::new(text, "is neither an absolute path nor the name of a credential"))
    }
}

impl CredentialSource {
    /// The path, unless it is a name.
    pub fn path(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| text.starts_with('/'))
    }
}
