//! One bind mount: a string as for `Bind=` (`systemd.nspawn(5)`), `SOURCE[:DESTINATION[:OPTION,…]]`, or an object,
//! which also says whether the mount is read-only and how owners are mapped. In a string, a `\` escapes a `:` or `\` of
//! a path, as in systemd.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::object::{is_default, null_as_default, null_as_true, text_or_object};
use crate::invalid::Invalid;
use crate::value::AbsolutePath;
use systemd_unit_syntax::words::{BindFields, bind_fields};

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    written: Written,
    /// What is mounted.
    pub source: BindSource,
    /// Its path inside.
    pub destination: AbsolutePath,
    /// The options between commas, for instance `norbind` or `rootidmap`.
    pub options: Vec<String>,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// How it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Written {
    Text(String),
    Object(Object),
}

/// A bind mount as an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Object {
    /// A path of the host.
    source: AbsolutePath,
    /// Where it is seen inside; the same path if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destination: Option<AbsolutePath>,
    /// Whether nothing can be written through it (`BindReadOnly=`).
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    read_only: bool,
    /// Whether mounts below the source are included.
    #[serde(default = "yes", deserialize_with = "null_as_true", skip_serializing_if = "is_yes")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    recursive: bool,
    /// How owners are mapped within a user namespace; by default each keeps its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idmap: Option<Idmap>,
}

/// How the owners of files are mapped within a user namespace (`Bind=` of `systemd-nspawn(1)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum Idmap {
    /// Not at all: owners on the host are nobody inside.
    #[serde(rename = "noidmap")]
    None,
    /// Each user keeps its number.
    #[serde(rename = "idmap")]
    Same,
    /// The owner of the source is root inside.
    #[serde(rename = "rootidmap")]
    Root,
    /// The owner of the source is the owner of the destination inside.
    #[serde(rename = "owneridmap")]
    Owner,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// The source of a bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindSource {
    /// A path of the host.
    Host(AbsolutePath),
    /// A path below the container's root, written `+/path`.
    Root(AbsolutePath),
    /// A temporary directory, removed at the stop; written as an empty source.
    Temporary,
}

/// The options that every supported systemd knows; nspawn itself rejects an unknown one only when it mounts.
const OPTIONS: [&str; 6] = ["rbind", "norbind", "idmap", "noidmap", "rootidmap", "owneridmap"];

/// The options that nspawn refuses without a user namespace, on all versions.
const NEED_USER_NAMESPACE: [&str; 3] = ["idmap", "rootidmap", "owneridmap"];

impl BindMount {
    /// Returns the options that nspawn gets. Options that map owners need a user namespace; without one nspawn fails
    /// the start (systemd 252–262), so they are left out. An object without `idmap` gets `idmap` within a user
    /// namespace, so that each owner keeps its number.
    pub fn options_in_force(&self, user_namespacing: bool) -> impl Iterator<Item = &str> {
        let chosen = match &self.written {
            Written::Object(Object { idmap: None, .. }) if user_namespacing => Some("idmap"),
            Written::Object(_) | Written::Text(_) => None,
        };
        self.options
            .iter()
            .map(String::as_str)
            .filter(move |option| user_namespacing || !NEED_USER_NAMESPACE.contains(option))
            .chain(chosen)
    }

    /// Returns source, destination and whether it is read-only: all that [`Self::options_in_force`] does not tell. The
    /// pattern names every field, so that a new one cannot be overlooked.
    pub(crate) fn parts(&self) -> (&BindSource, &AbsolutePath, bool) {
        let Self { written: _, source, destination, options: _, read_only } = self;
        (source, destination, *read_only)
    }

    /// Returns whether [`Self::options_in_force`] leaves something out.
    pub fn loses_options(&self, user_namespacing: bool) -> bool {
        self.options_in_force(user_namespacing).count() < self.options.len()
    }

    /// Returns the string, if it was written as one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.written {
            Written::Text(text) => Some(text),
            Written::Object(_) => None,
        }
    }
}

impl From<Object> for BindMount {
    fn from(object: Object) -> Self {
        let Object { source, destination, read_only, recursive, idmap } = &object;
        let recursive = Some("norbind").filter(|_| !recursive);
        let idmap = idmap.map(|idmap| match idmap {
            Idmap::None => "noidmap",
            Idmap::Same => "idmap",
            Idmap::Root => "rootidmap",
            Idmap::Owner => "owneridmap",
        });
        Self {
            source: BindSource::Host(source.clone()),
            destination: destination.as_ref().unwrap_or(source).clone(),
            options: recursive.into_iter().chain(idmap).map(str::to_owned).collect(),
            read_only: *read_only,
            written: Written::Object(object),
        }
    }
}

impl<'de> Deserialize<'de> for BindMount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_object(deserializer, BindMount::try_from, |object: Object| Ok(object.into()))
    }
}

impl Serialize for BindMount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.written {
            Written::Text(text) => serializer.serialize_str(text),
            Written::Object(object) => object.serialize(serializer),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for BindMount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BindMount".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let object = generator.subschema_for::<Object>();
        schemars::json_schema!({
            "description": "A bind mount.",
            "anyOf": [{"type": "string", "pattern": r"^[^\x00-\x1f\x7f]+$"}, object],
        })
    }
}

impl TryFrom<String> for BindMount {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let refuse = |reason: String| Invalid::new(&text, format!("is not a bind mount: {reason}"));
        let BindFields { source: source_text, destination, options } =
            bind_fields(&text).map_err(|error| refuse(error.to_string()))?;
        let path = |what: &str, text: String| {
            AbsolutePath::try_from(text).map_err(|error| refuse(format!("the {what} {error}")))
        };
        let source = if source_text.is_empty() {
            BindSource::Temporary
        } else if let Some(inside) = source_text.strip_prefix('+') {
            BindSource::Root(path("source", inside.to_owned())?)
        } else {
            BindSource::Host(path("source", source_text)?)
        };
        let destination = match (&source, destination) {
            (_, Some(destination)) => path("destination", destination)?,
            (BindSource::Host(source) | BindSource::Root(source), None) => source.clone(),
            (BindSource::Temporary, None) => {
                return Err(refuse("neither source nor destination is given".to_owned()));
            }
        };
        let options: Vec<String> = match options {
            None => Vec::new(),
            Some(one) if !one.contains(',') => vec![one],
            Some(list) => list.split(',').map(str::to_owned).collect(),
        };
        if let Some(unknown) = options.iter().find(|option| !OPTIONS.contains(&option.as_str())) {
            return Err(refuse(format!(
                "option '{}' is not one of {}",
                crate::invalid::shown(unknown),
                OPTIONS.join(", ")
            )));
        }
        Ok(Self { source, destination, options, read_only: false, written: Written::Text(text) })
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

    fn object(json: &str) -> BindMount {
        crate::json::read(json).expect("a bind mount")
    }

    #[test]
    fn objects() {
        let plain = object(r#"{"source": "/srv/data"}"#);
        assert_eq!(plain.destination.as_str(), "/srv/data");
        assert_eq!(plain.options_in_force(false).count(), 0);
        assert_eq!(plain.options_in_force(true).collect::<Vec<_>>(), ["idmap"]);
        assert!(!plain.read_only && !plain.loses_options(true) && !plain.loses_options(false));
        let json = r#"{"source":"/srv/data","destination":"/data","readOnly":true,"recursive":false,"idmap":"rootidmap"}"#;
        let full = object(json);
        assert_eq!(full.options_in_force(true).collect::<Vec<_>>(), ["norbind", "rootidmap"]);
        assert_eq!(full.options_in_force(false).collect::<Vec<_>>(), ["norbind"]);
        assert!(full.read_only && full.loses_options(false));
        assert_eq!(serde_json::to_string(&full).expect("JSON"), json);
        let nulls = r#"{"source":"/a","destination":null,"readOnly":null,"recursive":null,"idmap":null}"#;
        assert_eq!(object(nulls), object(r#"{"source":"/a"}"#));
        for bad in [r#"{}"#, r#"{"source":"a"}"#, r#"{"source":"/a","ro":true}"#, "[]", "1", "null"] {
            assert!(crate::json::read::<BindMount>(bad).is_err(), "{bad}");
        }
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
