//! From the bytes of an intent file, or of a profile's data.json, to checked values. A fault names line, column and
//! field and suggests the nearest known name; parsing never panics and needs no more memory than a small multiple
//! of its input, which is bounded.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::check::broken_rule;
use super::object::Object;
use super::{Container, Intent};
use crate::invalid::shown;
use crate::name::MachineName;

/// The largest intent file that is read, in bytes. The generator runs in every boot and must stay small.
pub const MAX_SIZE: usize = 1 << 20;

/// What is wrong with an intent, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: Option<usize>,
    /// Path of the field, `container.bindMounts[0]`; empty when the whole file is meant.
    pub field: String,
    /// The reason, one line without a final dot.
    pub reason: String,
}

impl Fault {
    /// A fault of the file as a whole.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self { line: None, field: String::new(), reason: reason.into() }
    }
}

/// `field 'x': reason`; the caller puts `path:line: ` before it.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(out, "field '{}': ", shown(&self.field))?;
        }
        out.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

/// The checked intent in `bytes`, whose file is called `name`.json.
pub fn parse(bytes: &[u8], name: &MachineName) -> Result<Intent, Fault> {
    if bytes.len() > MAX_SIZE {
        return Err(Fault::whole(format!("is larger than {} KiB", MAX_SIZE / 1024)));
    }
    // The way of nearly all files: one pass. Only a refused one is looked at again, to say why.
    let Object(mut intent) = serde_json::from_slice::<Object<Intent>>(bytes).map_err(|_| why(bytes))?;
    let own = intent.name.get_or_insert_with(|| name.clone());
    if own != name {
        let reason = format!("'{own}' differs from the file name, which says '{name}'");
        return Err(located(bytes, "name".to_owned(), reason));
    }
    match broken_rule(&intent) {
        Some((field, reason)) => Err(located(bytes, field, reason)),
        None => Ok(intent),
    }
}

/// Why an intent file is refused: first what is no JSON, then the version, then the first bad field.
fn why(bytes: &[u8]) -> Fault {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Fault::whole("is empty");
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let line = bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        return Fault { line: Some(line), field: String::new(), reason: "is not UTF-8".to_owned() };
    }
    match serde_json::from_slice::<Value>(bytes) {
        Err(error) => return syntax_fault(&error),
        Ok(Value::Object(fields)) => match fields.get("version") {
            Some(version) if version.as_u64() == Some(1) => {}
            Some(version) => {
                let version = shown(&version.to_string());
                let reason = format!("{version} is not known, this nixos-nspawn knows version 1");
                return located(bytes, "version".to_owned(), reason);
            }
            None => {
                return Fault { line: None, field: "version".to_owned(), reason: "is missing".to_owned() };
            }
        },
        Ok(_) => return Fault::whole("is not a JSON object"),
    }
    match typed::<Object<Intent>>(bytes) {
        // An option that stands beside `container` in place of in it.
        Err(fault) if fault.reason.starts_with("is not known") && is_option(&fault.field) => {
            let reason = format!("is not known (did you mean 'container.{}'?)", fault.field);
            Fault { reason, ..fault }
        }
        Err(fault) => fault,
        // The typed pass refused it before; only a disagreement of the two passes leads here.
        Ok(_) => Fault::whole("cannot be read"),
    }
}

/// Whether `container` knows a field of this name; each takes a null.
fn is_option(field: &str) -> bool {
    let one = Map::from_iter([(field.to_owned(), Value::Null)]);
    serde_json::from_value::<Container>(Value::Object(one)).is_ok()
}

fn syntax_fault(error: &serde_json::Error) -> Fault {
    Fault {
        line: Some(error.line()).filter(|line| *line > 0),
        field: String::new(),
        reason: format!("is not JSON: {}", translated(&bare(error))),
    }
}

/// Reads any value of ours, with the place of a fault.
pub(crate) fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let inner = error.into_inner();
        let line = Some(inner.line()).filter(|line| *line > 0);
        Fault {
            line,
            field: if field == "." { String::new() } else { field },
            reason: suggestion(&bare(&inner)),
        }
    })
}

/// The message of serde_json without its position, which stands elsewhere, and on one line: it quotes the file.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect()
}

/// serde's words for types, and JSON's.
const WORDS: [(&str, &str); 8] = [
    (
        "data did not match any variant of untagged enum Written",
        "must be a string, a whole number, a boolean, or a list of these",
    ),
    ("expected u64", "expected a whole number, not negative"),
    ("expected i64", "expected a whole number"),
    ("expected a map", "expected an object"),
    ("expected a sequence", "expected a list"),
    ("invalid type: map", "invalid type: object"),
    ("invalid type: sequence", "invalid type: list"),
    ("floating point", "number"),
];

/// A message of serde for people.
fn translated(message: &str) -> String {
    let mut text = message.replace('`', "'");
    for (theirs, ours) in WORDS {
        text = text.replace(theirs, ours);
    }
    // "expected struct Container" names a type of this program.
    match text.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected an object"),
        None => text,
    }
}

/// "unknown field `zoen`, expected one of `zone`, …" in our words, with the nearest name.
fn suggestion(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return translated(message);
    };
    let mut quoted = rest.split('`').step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    match nearest(unknown, quoted) {
        Some(known) => format!("is not known (did you mean '{known}'?)"),
        None => "is not known".to_owned(),
    }
}

/// The name that somebody may have meant.
pub(super) fn nearest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    names
        .map(|known| (strsim::damerau_levenshtein(&unknown, &known.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .map(|(_, known)| known)
}

/// A fault of a known field: the line is that of the first place that the last part of its name stands in.
fn located(bytes: &[u8], field: String, reason: String) -> Fault {
    let key = field.rsplit('.').next().unwrap_or_default();
    let needle = format!("\"{key}\"");
    let line = bytes
        .split(|b| *b == b'\n')
        .position(|line| line.windows(needle.len()).any(|part| part == needle.as_bytes()))
        .map(|at| at + 1);
    Fault { line, field, reason }
}

/// Options read from a profile's data.json, and what was passed over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The options.
    pub container: Container,
    /// Fields of a data.json without version that we do not know, each with the consequence.
    pub warnings: Vec<String>,
}

/// The options in a profile's data.json. With `version`, an unknown field is an error; without, as
/// python-nixos-nspawn writes it, an unknown field is left out with a warning, and the default strategy is its: restart.
pub fn parse_data(bytes: &[u8]) -> Result<Reading, Fault> {
    if bytes.len() > MAX_SIZE {
        return Err(Fault::whole(format!("is larger than {} KiB", MAX_SIZE / 1024)));
    }
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| syntax_fault(&error))?;
    let Value::Object(fields) = &mut value else {
        return Err(Fault::whole("is not a JSON object"));
    };
    let strict = match fields.remove("version") {
        None => false,
        Some(version) if version.as_u64() == Some(1) => true,
        Some(version) => {
            let reason =
                format!("{} is not known, this nixos-nspawn knows version 1", shown(&version.to_string()));
            return Err(located(bytes, "version".to_owned(), reason));
        }
    };
    if !strict {
        restart_by_default(fields);
    }
    let mut warnings = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, Container>(value.clone()) {
            Ok(container) => return Ok(Reading { container, warnings }),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let message = error.inner().to_string();
        if strict || !message.starts_with("unknown field ") || !remove(&mut value, &path) {
            return Err(located(bytes, path, suggestion(&bare(error.inner()))));
        }
        warnings.push(format!("field '{}': {}, left out", shown(&path), suggestion(&message)));
    }
}

/// python-nixos-nspawn, whose profiles have no version, restarts what says nothing else.
fn restart_by_default(options: &mut Map<String, Value>) {
    let activation = options.entry("activation").or_insert(Value::Null);
    if activation.is_null() {
        *activation = Value::Object(Map::new());
    }
    if let Value::Object(activation) = activation {
        let strategy = activation.entry("strategy").or_insert(Value::Null);
        if strategy.is_null() {
            *strategy = Value::from("restart");
        }
    }
}

/// Removes the field at `path`, which serde_path_to_error wrote; false if it is not there.
fn remove(value: &mut Value, path: &str) -> bool {
    let pointer: String = path
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")))
        .collect();
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.remove(key).is_some(),
        _ => false,
    }
}

/// Whether a refused file reads as one whose container should start with the host; `None` if that cannot be told.
pub fn reads_as_autostart(bytes: &[u8]) -> Option<bool> {
    let value: Value = serde_json::from_slice(bytes.get(..MAX_SIZE).unwrap_or(bytes)).ok()?;
    let fields = value.as_object()?;
    match fields.get("autostart") {
        Some(Value::Bool(autostart)) => Some(*autostart),
        _ => Some(value.pointer("/container/activation/autoStart").and_then(Value::as_bool).unwrap_or(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_data};
    use crate::intent::Strategy;

    /// The message for an intent of several lines, whose last one is `field`.
    fn refused(field: &str) -> String {
        let toplevel = format!("/nix/store/{}-a", "a".repeat(32));
        let text = format!("{{\n\"version\": 1,\n\"toplevel\": \"{toplevel}\",\n{field}\n}}\n");
        let fault = parse(text.as_bytes(), &"web".parse().unwrap()).unwrap_err();
        format!("{}: {fault}", fault.line.unwrap_or_default())
    }

    #[test]
    fn a_fault_is_in_the_line_of_its_value() {
        for (field, close) in [
            (r#""profile": "var""#, ""),
            (r#""container": {"memoryMax": "2 GB""#, "}"),
            (r#""container": {"zone": "a name that is too long""#, "}"),
            (r#""container": {"cpuQuota": "150""#, "}"),
            (r#""container": {"tmpfs": ["var/cache""#, "]}"),
            (r#""container": {"extraVeths": ["a:b:c""#, "]}"),
            (r#""container": {"credentials": [{"id": "a/b""#, "}]}"),
            (r#""container": {"forwardPorts": [{"hostAddress": "here""#, "}]}"),
            (r#""container": {"hostNetworkConfig": {"extraConfig": "[Nonsense]""#, "}}"),
            (r#""container": {"environment": {"A": "a\nb""#, "}}"),
        ] {
            let close: String = close.chars().flat_map(|c| ['\n', c]).collect();
            let message = refused(&format!("{field}{close}"));
            assert!(message.starts_with("4: field '"), "{message}");
        }
    }

    #[test]
    fn an_option_that_stands_beside_container() {
        assert_eq!(
            refused(r#""memoryMax": "2G""#),
            "4: field 'memoryMax': is not known (did you mean 'container.memoryMax'?)"
        );
        assert_eq!(
            refused(r#""autoStart": true"#),
            "4: field 'autoStart': is not known (did you mean 'autostart'?)"
        );
        assert_eq!(refused(r#""bootLimit": 4"#), "4: field 'bootLimit': is not known");
    }

    #[test]
    fn the_default_strategy_of_a_profile() {
        let strategy =
            |text: &str| parse_data(text.as_bytes()).map(|data| data.container.activation.strategy);
        for text in
            ["{}", r#"{"activation": null}"#, r#"{"activation": {"strategy": null, "autoStart": false}}"#]
        {
            assert_eq!(strategy(text), Ok(Strategy::Restart), "{text}");
            let versioned = text.replacen('{', r#"{"version": 1, "zone": null, "#, 1).replace(", }", "}");
            assert_eq!(strategy(&versioned), Ok(Strategy::Dynamic), "{versioned}");
        }
        assert_eq!(strategy(r#"{"activation": {"strategy": "reload"}}"#), Ok(Strategy::Reload));
        assert!(strategy(r#"{"activation": []}"#).is_err());
    }
}
