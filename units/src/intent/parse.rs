//! Reads the bytes of an intent file into a checked intent. A fault names line, column and field and suggests the
//! nearest known name. Parsing never panics; memory is bounded by a small multiple of the input.

use serde::Deserialize;

use super::check::broken_rule;
use super::container::Container;
use super::fault::Fault;
use super::record::Intent;
use crate::invalid::shown;
use crate::json::{self, Error, Kind, field_names, find};
use crate::name::MachineName;
use crate::nearest::nearest;

/// The largest intent file that is read, in bytes: the generator runs at every boot and must stay small.
pub const MAX_SIZE: usize = 1 << 20;

/// Reads and checks the intent in `bytes`, whose file is called `name`.json.
///
/// ```
/// use nixos_nspawn_units::intent::parse;
///
/// let name = "web".parse()?;
/// let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
/// let intent = parse(format!(r#"{{"version": 1, "toplevel": "{toplevel}"}}"#).as_bytes(), &name)?;
/// assert!(intent.starts_at_boot());
///
/// let fault = parse(b"{\n  \"version\": 2\n}", &name).unwrap_err();
/// assert_eq!(fault.line, Some(2));
/// assert_eq!(fault.to_string(), "field 'version': 2 is not known, this nixos-nspawn knows version 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(bytes: &[u8], name: &MachineName) -> Result<Intent, Fault> {
    let text = text_of(bytes)?;
    let mut intent: Intent = json::read(text).map_err(|error| why(text, &error))?;
    let own = intent.name.get_or_insert_with(|| name.clone());
    if own != name {
        let reason = format!("'{own}' differs from the file name, which says '{name}'");
        return Err(Fault::of_field(text, "name", reason));
    }
    match broken_rule(&intent) {
        Some((field, reason)) => Err(Fault::of_field(text, &field, reason)),
        None => Ok(intent),
    }
}

/// Reads any value of ours.
pub(crate) fn typed<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Fault> {
    let text = text_of(bytes)?;
    json::read(text).map_err(|error| basic(text).err().unwrap_or_else(|| Fault::of(text, &error)))
}

/// Returns the text of a file; refuses what is too large, empty or not UTF-8.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > MAX_SIZE {
        return Err(Fault::whole(format!("is larger than {} KiB", MAX_SIZE / 1024)));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::whole("is empty"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        Fault { line: Some(line), ..Fault::whole("is not UTF-8") }
    })
}

/// Fails if the text is not a JSON object.
pub(super) fn basic(text: &str) -> Result<(), Fault> {
    json::check(text).map_err(|error| Fault::of(text, &error))?;
    if is_object(text) { Ok(()) } else { Err(Fault::whole("is not a JSON object")) }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Fails on another version of the format; returns whether there is one.
pub(super) fn version(text: &str) -> Result<bool, Fault> {
    match find(text, &["version"]) {
        None => Ok(false),
        Some(found) if found.text == "1" => Ok(true),
        Some(found) => {
            let reason = format!("{} is not known, this nixos-nspawn knows version 1", shown(found.text));
            Err(Fault::at(text, found.at, "version", reason))
        }
    }
}

/// Returns why an intent is refused: invalid JSON comes first, then the version, then the first bad field.
fn why(text: &str, error: &Error) -> Fault {
    if let Err(fault) = basic(text) {
        return fault;
    }
    match version(text) {
        Err(fault) => return fault,
        // A misspelt name tells more than that the right one is missing.
        Ok(false) if !matches!(error.kind(), Kind::UnknownField { name, .. } if means_version(name)) => {
            return Fault { field: "version".to_owned(), ..Fault::whole("is missing") };
        }
        Ok(false) => {}
        Ok(true) => {}
    }
    let fault = Fault::of(text, error);
    match error.kind() {
        // An option beside `container` instead of inside it.
        Kind::UnknownField { name, .. }
            if *name == fault.field && field_names::<Container>().contains(&name.as_str()) =>
        {
            Fault { meant: Some(format!("container.{name}")), ..fault }
        }
        _ => fault,
    }
}

fn means_version(name: &str) -> bool {
    nearest(name, std::iter::once("version")).is_some()
}

/// Returns whether a refused file asks to start with the host; `None` if that is unknown.
pub fn reads_as_autostart(bytes: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(bytes.get(..MAX_SIZE).unwrap_or(bytes)).ok()?;
    json::check(text).ok()?;
    let said = |path: &[&str]| match find(text, path)?.text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    is_object(text).then(|| {
        said(&["autostart"]).or_else(|| said(&["container", "activation", "autoStart"])).unwrap_or(true)
    })
}

#[cfg(test)]
mod tests;
