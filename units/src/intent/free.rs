//! Free-form settings: what has no option of its own. Each is guaranteed to stay one line in its section,
//! and those that would break what the generator promises are refused by name. Values are written as they are:
//! whoever uses them writes systemd's syntax.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::syntax::settings::setting;
use crate::value::{Invalid, no_control_characters, shown};

/// Settings of one section by name, each with its values in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FreeSettings(BTreeMap<Key, Values>);

/// Free-form settings of the .nspawn file (`systemd.nspawn(5)`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NspawnConfig {
    /// The [Exec] section.
    #[serde(skip_serializing_if = "super::is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub exec: FreeSettings,
    /// The [Files] section.
    #[serde(skip_serializing_if = "super::is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub files: FreeSettings,
    /// The [Network] section.
    #[serde(skip_serializing_if = "super::is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub network: FreeSettings,
}

impl FreeSettings {
    /// Name and values of each setting, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(key, values)| (key.0.as_str(), values.0.as_slice()))
    }

    /// The values of one setting.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.iter().find(|(name, _)| *name == key).map(|(_, values)| values)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a value to a setting; fails on what cannot stand in a unit file.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        let key = Key::try_from(key.to_owned())?;
        let value = one_line(value.to_owned())?;
        self.0.entry(key).or_default().0.push(value);
        Ok(())
    }
}

/// By hand, since a map would take the last of two equal names, and every other field is refused when it comes twice.
impl<'de> Deserialize<'de> for FreeSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Settings;
        impl<'de> Visitor<'de> for Settings {
            type Value = FreeSettings;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of settings")
            }

            fn visit_unit<E: de::Error>(self) -> Result<FreeSettings, E> {
                Ok(FreeSettings::default())
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FreeSettings, M::Error> {
                let mut settings = BTreeMap::new();
                while let Some(key) = map.next_key::<Key>()? {
                    let values = map.next_value::<Values>()?;
                    let name = key.0.clone();
                    if settings.insert(key, values).is_some() {
                        return Err(de::Error::custom(format!("duplicate field '{name}'")));
                    }
                }
                Ok(FreeSettings(settings))
            }
        }
        deserializer.deserialize_any(Settings)
    }
}

/// The name of a setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("pattern" = "^[a-zA-Z0-9-]+$")))]
struct Key(String);

impl TryFrom<String> for Key {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Invalid::new(&text, "is not the name of a setting"));
        }
        Ok(Self(text))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0
    }
}

/// A string, number or boolean, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Vec<String>")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "Written"))]
struct Values(Vec<String>);

/// How values may be written in JSON, which is how Nix writes a `systemd.nspawn` option.
#[derive(Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum Written {
    None(()),
    One(Scalar),
    Many(Vec<Scalar>),
}

#[derive(Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum Scalar {
    Boolean(bool),
    Number(i64),
    Text(String),
}

impl TryFrom<Written> for Values {
    type Error = Invalid;
    fn try_from(written: Written) -> Result<Self, Invalid> {
        let scalars = match written {
            Written::None(()) => Vec::new(),
            Written::One(scalar) => vec![scalar],
            Written::Many(scalars) => scalars,
        };
        let values = scalars.into_iter().map(|scalar| match scalar {
            Scalar::Boolean(yes) => Ok(if yes { "yes" } else { "no" }.to_owned()),
            Scalar::Number(number) => Ok(number.to_string()),
            Scalar::Text(text) => one_line(text),
        });
        Ok(Self(values.collect::<Result<_, _>>()?))
    }
}

impl From<Values> for Vec<String> {
    fn from(values: Values) -> Self {
        values.0
    }
}

/// What stays in its line and section, and is read back as it was given (`systemd.syntax(7)`).
fn one_line(text: String) -> Result<String, Invalid> {
    no_control_characters(&text)?;
    if text.trim_matches([' ', '\t']) != text {
        return Err(Invalid::new(&text, "begins or ends with a blank, which systemd strips"));
    }
    if text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
        return Err(Invalid::new(&text, "ends in a backslash, which would join the next line"));
    }
    Ok(text)
}

/// Settings of [Service] that the life cycle of a container rests on, or that would take nspawn out of the host's
/// mount namespace, which its mount tunnel and machinectl assume.
const REFUSED_SERVICE: &[&str] = &[
    "BindLogSockets",
    "BindPaths",
    "BindReadOnlyPaths",
    "DynamicUser",
    "ExecPaths",
    "ExecStart",
    "ExtensionDirectories",
    "ExtensionImages",
    "Group",
    "InaccessibleDirectories",
    "InaccessiblePaths",
    "KillMode",
    "LogNamespace",
    "MountAPIVFS",
    "MountFlags",
    "MountImages",
    "NoExecPaths",
    "NotifyAccess",
    "PrivateBPF",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivatePIDs",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyDirectories",
    "ReadOnlyPaths",
    "ReadWriteDirectories",
    "ReadWritePaths",
    "RootDirectory",
    "RootEphemeral",
    "RootHash",
    "RootImage",
    "RootMStack",
    "RuntimeDirectory",
    "StateDirectory",
    "TemporaryFileSystem",
    "Type",
    "User",
];

/// Settings of [Service] that we write ourselves, where an empty value would take our lines away.
const NOT_EMPTY: &[&str] = &["Environment", "ExecStartPre", "ExecStopPost", "LoadCredential"];

/// A fault in the free-form settings: which one, and what is wrong.
pub(super) fn fault(container: &super::Container) -> Option<(String, String)> {
    for (key, values) in container.service_config.iter() {
        if NOT_EMPTY.contains(&key) && values.iter().any(String::is_empty) {
            let reason = format!("an empty {key}= would take away what nixos-nspawn sets");
            return Some((format!("container.serviceConfig.{key}"), reason));
        }
        if REFUSED_SERVICE.contains(&key) {
            let reason = "would break the container's life cycle and cannot be set";
            return Some((format!("container.serviceConfig.{key}"), format!("{key}= {reason}")));
        }
    }
    let sections = [
        ("Exec", &container.nspawn_config.exec),
        ("Files", &container.nspawn_config.files),
        ("Network", &container.nspawn_config.network),
    ];
    for (section, settings) in sections {
        for (key, _) in settings.iter() {
            if setting(section, key).is_none() && !key.starts_with("X-") {
                let reason = format!("'{}' is no setting of [{section}] (systemd.nspawn(5))", shown(key));
                return Some((format!("container.nspawnConfig.{section}.{key}"), reason));
            }
        }
    }
    None
}
