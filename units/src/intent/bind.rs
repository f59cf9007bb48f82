//! One bind mount, written as for `Bind=` (`systemd.nspawn(5)`): `SOURCE[:DESTINATION[:OPTION,…]]`. A string goes
//! in, its checked parts come out; a `:` or `\` that belongs to a path has a `\` in front, as in systemd.

use serde::{Deserialize, Serialize};

use crate::syntax::words::{BindFields, bind_fields};
use crate::value::{AbsolutePath, Invalid};

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String", extend("pattern" = r"^[^\x00-\x1f\x7f]+$")))]
pub struct BindMount {
    text: String,
    /// What is mounted.
    pub source: BindSource,
    /// Where it is seen inside.
    pub destination: AbsolutePath,
    /// The options between commas, for instance `norbind` or `rootidmap`.
    pub options: Vec<String>,
}

/// What a bind mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindSource {
    /// A path of the host.
    Host(AbsolutePath),
    /// A path below the container's root, written `+/path`.
    Root(AbsolutePath),
    /// An empty directory of its own, removed at the stop; written as an empty source.
    Temporary,
}

/// Options every supported systemd knows; nspawn finds an unknown one only when it mounts.
const OPTIONS: [&str; 6] = ["rbind", "norbind", "idmap", "noidmap", "rootidmap", "owneridmap"];

/// Options that nspawn refuses without a user namespace, on all versions.
const NEED_USER_NAMESPACE: [&str; 3] = ["idmap", "rootidmap", "owneridmap"];

impl BindMount {
    /// The options nspawn can be given: those that map ids mean nothing without a user namespace, and nspawn
    /// fails the start on them (systemd 252–262), where python-nixos-nspawn passes them on.
    pub fn options_in_force(&self, user_namespacing: bool) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .map(String::as_str)
            .filter(move |option| user_namespacing || !NEED_USER_NAMESPACE.contains(option))
    }

    /// Whether [`Self::options_in_force`] leaves something out.
    pub fn loses_options(&self, user_namespacing: bool) -> bool {
        self.options_in_force(user_namespacing).count() != self.options.len()
    }
}

impl TryFrom<String> for BindMount {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let refuse = |reason: String| Invalid::new(&text, format!("is not a bind mount: {reason}"));
        let BindFields { source: source_text, destination, options } =
            bind_fields(&text).map_err(|error| refuse(error.to_string()))?;
        let path = |what: &str, text: &str| {
            text.parse::<AbsolutePath>().map_err(|error| refuse(format!("the {what} {error}")))
        };
        let source = if source_text.is_empty() {
            BindSource::Temporary
        } else if let Some(inside) = source_text.strip_prefix('+') {
            BindSource::Root(path("source", inside)?)
        } else {
            BindSource::Host(path("source", &source_text)?)
        };
        let destination = match (&source, destination) {
            (_, Some(destination)) => path("destination", &destination)?,
            (BindSource::Host(source) | BindSource::Root(source), None) => source.clone(),
            (BindSource::Temporary, None) => {
                return Err(refuse("neither source nor destination is given".to_owned()));
            }
        };
        let options: Vec<String> =
            options.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
        if let Some(unknown) = options.iter().find(|option| !OPTIONS.contains(&option.as_str())) {
            return Err(refuse(format!(
                "option '{}' is none of {}",
                crate::value::shown(unknown),
                OPTIONS.join(", ")
            )));
        }
        Ok(Self { source, destination, options, text })
    }
}

impl From<BindMount> for String {
    fn from(mount: BindMount) -> String {
        mount.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Result<BindMount, Invalid> {
        BindMount::try_from(text.to_owned())
    }

    #[test]
    fn forms() {
        let plain = mount("/srv/data").unwrap();
        assert_eq!(plain.destination.as_str(), "/srv/data");
        let full = mount("/srv/data:/data:norbind,rootidmap").unwrap();
        assert_eq!(full.destination.as_str(), "/data");
        assert_eq!(full.options_in_force(true).collect::<Vec<_>>(), ["norbind", "rootidmap"]);
        assert_eq!(full.options_in_force(false).collect::<Vec<_>>(), ["norbind"]);
        assert_eq!(mount("+/var/x:/y").unwrap().source, BindSource::Root("/var/x".parse().unwrap()));
        assert_eq!(mount(":/scratch").unwrap().source, BindSource::Temporary);
        assert_eq!(mount(r"/a\:b:/c").unwrap().source, BindSource::Host("/a:b".parse().unwrap()));
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            ":",
            "srv:/x",
            "/srv:x",
            "/srv:/a/../b",
            "/a:",
            "/a:/b:ro",
            "/a:/b:rbind:x",
            "/a\n:/b",
            "/a\\",
        ] {
            assert!(mount(bad).is_err(), "{bad:?}");
        }
    }
}
