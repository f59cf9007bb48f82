//! Converts the arguments for the administrator's layer to what changes in it.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use systemd_unit_syntax::words::bind_fields;

use crate::base::exit::Failed;
use crate::cli::Override;
use crate::decision::overrides::{Given, OverrideChanges};

/// Returns what changes in the layer; `None` if nothing does.
pub(crate) fn changes(given: &Override, unset: &[String]) -> Result<Option<OverrideChanges>> {
    let Override { set, port, bind, bind_ro, memory_max, zone, bridge, env } = given;
    let mut changes = OverrideChanges { unset: unset.to_vec(), ..OverrideChanges::default() };
    let text = |option: &str, text: &str| (option.to_owned(), Given::Text(text.to_owned()));
    for assignment in set {
        let (option, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        match option.strip_suffix('+') {
            Some(option) => changes.add.push(text(option, value)),
            None => changes.set.push(text(option, value)),
        }
    }
    changes.set.extend(port.iter().map(|port| text("forwardPorts", port)));
    changes.set.extend(memory_max.iter().map(|size| text("memoryMax", size)));
    changes.set.extend(zone.iter().map(|zone| text("zone", zone)));
    changes.set.extend(bridge.iter().map(|bridge| text("bridge", bridge)));
    for assignment in env {
        let (name, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        changes.set.push((format!("environment.{name}"), Given::Value(value.into())));
    }
    let here = std::env::current_dir()?;
    for (option, mounts, read_only) in [("--bind", bind, false), ("--bind-ro", bind_ro, true)] {
        for mount in mounts {
            let value = bind_mount(mount, read_only, &here);
            let value = value
                .map_err(|why| Failed::Usage(format!("{option} {mount}: {why}, nothing was changed")))?;
            changes.add.push(("bindMounts".to_owned(), Given::Value(json!([value]))));
        }
    }
    Ok((changes != OverrideChanges::default()).then_some(changes))
}

/// Returns the object of a bind mount. A relative source is relative to the working directory.
fn bind_mount(text: &str, read_only: bool, here: &Path) -> Result<Value, String> {
    let fields = bind_fields(text).map_err(|error| error.to_string())?;
    if fields.source.is_empty() {
        return Err("names no source".to_owned());
    }
    let source = std::path::absolute(here.join(fields.source)).map_err(|error| error.to_string())?;
    let source = source.to_str().ok_or("the working directory is not UTF-8")?;
    let mut object = json!({ "source": source, "readOnly": read_only });
    if let Some(destination) = fields.destination {
        object["destination"] = destination.into();
    }
    for option in fields.options.iter().flat_map(|options| options.split(',')) {
        match option {
            "rbind" => object["recursive"] = true.into(),
            "norbind" => object["recursive"] = false.into(),
            "idmap" | "noidmap" | "rootidmap" | "owneridmap" => object["idmap"] = option.into(),
            other => return Err(format!("'{other}' is not an option; see Bind= in systemd.nspawn(5)")),
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_mounts() {
        let here = Path::new("/home/me");
        for (text, read_only, expected) in [
            ("/srv", false, json!({"source": "/srv", "readOnly": false})),
            ("/srv:/data", true, json!({"source": "/srv", "destination": "/data", "readOnly": true})),
            (
                "./data:/data",
                false,
                json!({"source": "/home/me/data", "destination": "/data", "readOnly": false}),
            ),
            (
                "/srv:/data:norbind,rootidmap",
                false,
                json!({"source": "/srv", "destination": "/data", "readOnly": false, "recursive": false, "idmap": "rootidmap"}),
            ),
        ] {
            assert_eq!(bind_mount(text, read_only, here), Ok(expected), "{text}");
        }
        for (text, why) in [("", "names no source"), ("/srv:/data:ro", "'ro' is not an option")] {
            let refused = bind_mount(text, false, here).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
