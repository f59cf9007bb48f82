//! Translates bind mounts.

use serde_json::{Value, json};
use systemd_unit_syntax::words::bind_fields;

use super::Translation;

/// How other programs write a bind mount.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    /// The argument or setting, with its `=`.
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) read_only: bool,
    /// How owners are mapped if it does not say so; `None` leaves that to the default.
    pub(super) idmap: Option<&'a str>,
}

/// Translates a bind mount. One that is read-only stays so.
pub(super) fn bind(Said { key, value, read_only, idmap }: Said, to: &mut Translation) {
    let Ok(fields) = bind_fields(value) else {
        return to.miss(format!("{key}{value} cannot be read"));
    };
    let destination =
        fields.destination.filter(|path| !path.is_empty()).unwrap_or_else(|| fields.source.clone());
    if !fields.source.starts_with('/') {
        return to.miss(format!("{key}{value}: only paths of the host can be bound"));
    }
    let mut mount = json!({ "source": fields.source, "destination": destination });
    if read_only {
        mount["readOnly"] = Value::Bool(true);
    }
    if let Some(idmap) = idmap {
        mount["idmap"] = Value::from(idmap);
    }
    for option in fields.options.iter().flat_map(|options| options.split(',')) {
        match option {
            "rbind" | "" => {}
            "norbind" => mount["recursive"] = Value::Bool(false),
            "idmap" | "noidmap" | "rootidmap" | "owneridmap" => mount["idmap"] = Value::from(option),
            other => return to.miss(format!("{key}{value}: '{other}' is not an option of a mount")),
        }
    }
    to.push("bindMounts", mount);
}
