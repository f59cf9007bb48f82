//! A device of the host that the container may use: `/dev/ttyUSB0`, `/dev/ttyUSB0:rw`, or an object. Whether the device
//! exists is known only at the start.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::object::{null_as_default, text_or_object};
use crate::invalid::Invalid;
use crate::string_type::string_type;
use crate::value::plain_path;

/// A device (`DeviceAllow=` of `systemd.resource-control(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The node, or a link to it.
    pub path: DevicePath,
    /// What the container may do with it.
    pub permissions: Permissions,
}

string_type! {
    /// A path below /dev.
    DevicePath, check_device_path, r"^/dev/[^\x00-\x20\x7f\\]+$"
}

fn check_device_path(text: &str) -> Result<(), Invalid> {
    plain_path(text)?;
    match text.strip_prefix("/dev/") {
        Some(rest) if !rest.trim_matches('/').is_empty() && !rest.ends_with('/') => Ok(()),
        _ => Err(Invalid::new(text, "is not a device below /dev")),
    }
}

/// Access to a device: reading, writing and mknod, as `r`, `w`, `m` or several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Permissions {
    read: bool,
    write: bool,
    make: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { read: true, write: true, make: true }
    }
}

impl Permissions {
    /// Reading only.
    pub const READ: Self = Self { read: true, write: false, make: false };

    /// Returns the same with mknod added.
    pub fn and_make(self) -> Self {
        Self { make: true, ..self }
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        letters.iter().filter(|(given, _)| *given).try_for_each(|(_, letter)| out.write_str(letter))
    }
}

impl TryFrom<String> for Permissions {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        let has = |letter: char| text.contains(letter);
        let once = (1..=3).contains(&text.len()) && "rwm".chars().filter(|c| has(*c)).count() == text.len();
        if !once {
            return Err(Invalid::new(
                &text,
                "is not a kind of access to a device ('r', 'w', 'm' or several)",
            ));
        }
        Ok(Self { read: has('r'), write: has('w'), make: has('m') })
    }
}

/// Parses `/dev/NODE[:PERMISSIONS]`. Names below /dev/disk/by-path contain colons: the part after the last one is taken
/// for permissions only if it has one to three lowercase letters.
impl TryFrom<String> for Device {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        let letters = |end: &str| (1..=3).contains(&end.len()) && end.bytes().all(|b| b.is_ascii_lowercase());
        match text.rsplit_once(':').filter(|(_, end)| letters(end)) {
            Some((path, end)) => Ok(Self { path: path.parse()?, permissions: end.to_owned().try_into()? }),
            None => Ok(Self { path: text.try_into()?, permissions: Permissions::default() }),
        }
    }
}

/// A device as an object.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Object {
    /// The node, or a link to it.
    path: DevicePath,
    /// `r`, `w`, `m` or several of them; all if left out.
    #[serde(default, deserialize_with = "null_as_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Permissions>"))]
    permissions: Permissions,
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_object(deserializer, Device::try_from, |Object { path, permissions }: Object| {
            Ok(Device { path, permissions })
        })
    }
}

/// Written as text if that is read back as the same device.
impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { path, permissions } = self;
        let text = match *permissions == Permissions::default() {
            true => path.to_string(),
            false => format!("{path}:{permissions}"),
        };
        match Self::try_from(text.clone()) {
            Ok(same) if same == *self => serializer.serialize_str(&text),
            _ => Object { path: path.clone(), permissions: *permissions }.serialize(serializer),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Permissions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DevicePermissions".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Reading, writing and making the device.",
            "type": "string",
            "pattern": "^(r(w?m?|mw)|w(r?m?|mr)|m(r?w?|wr))$",
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Device {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut object = generator.subschema_for::<Object>();
        object.remove("description");
        schemars::json_schema!({
            "description": "A device of the host.",
            "anyOf": [{"type": "string", "pattern": r"^/dev/[^\x00-\x1f\x7f]+$"}, object],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> Result<(String, String), String> {
        let device = Device::try_from(text.to_owned()).map_err(|error| error.to_string())?;
        Ok((device.path.to_string(), device.permissions.to_string()))
    }

    #[test]
    fn forms() {
        let is = |path: &str, permissions: &str| Ok((path.to_owned(), permissions.to_owned()));
        assert_eq!(device("/dev/ttyUSB0"), is("/dev/ttyUSB0", "rwm"));
        assert_eq!(device("/dev/ttyUSB0:rw"), is("/dev/ttyUSB0", "rw"));
        assert_eq!(device("/dev/dri/renderD128:wr"), is("/dev/dri/renderD128", "rw"));
        let by_path = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0";
        assert_eq!(device(by_path), is(by_path, "rwm"));
        assert_eq!(device(&format!("{by_path}:r")), is(by_path, "r"));
        for bad in [
            "",
            "ttyUSB0",
            "/dev",
            "/dev/",
            "/dev//",
            "/srv/x",
            "/dev/x:rr",
            "/dev/x:rx",
            "/dev/../x",
            "/dev/a/",
        ] {
            assert!(device(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn written_back_as_the_same() {
        for json in [
            r#""/dev/a""#,
            r#""/dev/a:rw""#,
            r#"{"path":"/dev/a:rw","permissions":"rwm"}"#,
            r#"{"path":"/dev/a:b","permissions":"rwm"}"#,
        ] {
            let device: Device = crate::json::read(json).expect("a device");
            let again = serde_json::to_string(&device).expect("JSON");
            assert_eq!(crate::json::read::<Device>(&again).expect("a device"), device, "{json} {again}");
        }
    }
}
