//! What the settings of a `.nspawn` file add up to: repeated, empty and unknown assignments are resolved, values have
//! one spelling, and the order is that of the table. Two files with the same result mean the same to systemd-nspawn.
//! Values that systemd would ignore are left out if their type is cheap to check; others are taken to be valid.

use super::UnitFile;
use super::escape::bind_field;
use super::settings::{Empty, Kind, SETTINGS, Setting, parse_boolean, setting};
use super::words;

/// One setting and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// `Exec`, `Files` or `Network`.
    pub section: &'static str,
    /// The name before the `=`.
    pub key: &'static str,
    /// One value of a scalar; the values of a list, in order if order matters.
    pub values: Vec<String>,
}

/// Returns the settings in force in a `.nspawn` file (`systemd.nspawn(5)`): the last assignment of a scalar wins, lists
/// append, an empty assignment resets where systemd resets, and what systemd would ignore is left out. `Boot=` and
/// `ProcessTwo=` become one start mode, of which the first to be `yes` stays; `PrivateUsersChown=` becomes
/// `PrivateUsersOwnership=`, which it sets.
pub fn effective(file: &UnitFile) -> Vec<InForce> {
    let mut values: Vec<Vec<String>> = vec![Vec::new(); SETTINGS.len()];
    let mut start = None;
    for (section, key, value) in file.settings() {
        let Some(known) = setting(section, key) else { continue };
        match (key, parse_boolean(value)) {
            ("Boot", Some(on)) => start_mode(&mut start, Start::Boot, Start::ProcessTwo, on),
            ("ProcessTwo", Some(on)) => start_mode(&mut start, Start::ProcessTwo, Start::Boot, on),
            ("PrivateUsersChown", Some(on)) => {
                let ownership = if on { "chown" } else { "off" };
                assign(&mut values, ("Files", "PrivateUsersOwnership"), |list| {
                    *list = vec![ownership.to_owned()]
                });
            }
            ("Boot" | "ProcessTwo" | "PrivateUsersChown", None) => {}
            _ => assign(&mut values, (section, key), |list| add(known, value, list)),
        }
    }
    let start = start.map(|start| match start {
        Start::ProcessOne => ("Boot", "no"),
        Start::ProcessTwo => ("ProcessTwo", "yes"),
        Start::Boot => ("Boot", "yes"),
    });
    if let Some((key, value)) = start {
        assign(&mut values, ("Exec", key), |list| list.push(value.to_owned()));
    }
    let all = SETTINGS.iter().zip(values);
    all.filter(|(_, values)| !values.is_empty())
        .map(|(known, mut values)| {
            sort(known.kind, &mut values);
            InForce { section: known.section, key: known.key, values }
        })
        .collect()
}

/// What runs as the first process.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    ProcessOne,
    ProcessTwo,
    Boot,
}

/// Applies `Boot=` or `ProcessTwo=`: a `yes` stays against the other's and against its own `no`
/// (`config_parse_boot()`).
fn start_mode(start: &mut Option<Start>, this: Start, other: Start, on: bool) {
    match (on, *start) {
        (true, mode) if mode != Some(other) => *start = Some(this),
        (false, None) => *start = Some(Start::ProcessOne),
        _ => {}
    }
}

fn assign(values: &mut [Vec<String>], (section, key): (&str, &str), change: impl FnOnce(&mut Vec<String>)) {
    let at = SETTINGS.iter().position(|known| known.section == section && known.key == key);
    if let Some(list) = at.and_then(|at| values.get_mut(at)) {
        change(list);
    }
}

/// Adds one assignment to the earlier ones.
fn add(known: &Setting, value: &str, list: &mut Vec<String>) {
    if value.is_empty() {
        match known.empty {
            Empty::Reset => return list.clear(),
            Empty::NoOp | Empty::Warning => return,
            Empty::Value => {}
        }
    }
    let Some(mut new) = normal(known.kind, value) else { return };
    if known.kind == Kind::Port && new.iter().any(|port| list.iter().any(|other| same_host_port(port, other)))
    {
        return;
    }
    if known.list {
        list.append(&mut new);
    } else {
        *list = new;
    }
}

/// Returns the value in one spelling, split if it is a list; `None` if systemd would ignore it.
fn normal(kind: Kind, value: &str) -> Option<Vec<String>> {
    let one = |value: String| Some(vec![value]);
    match kind {
        Kind::Boolean | Kind::Tristate => one(yes_or_no(parse_boolean(value)?).to_owned()),
        Kind::Choice { values, yes } => match parse_boolean(value) {
            Some(true) => one(yes.to_owned()),
            Some(false) => one((*values.first()?).to_owned()),
            None => values.contains(&value).then(|| vec![value.to_owned()]),
        },
        Kind::PrivateUsers | Kind::Shell => {
            one(parse_boolean(value).map_or_else(|| value.to_owned(), |on| yes_or_no(on).to_owned()))
        }
        Kind::Words => words::nspawn_words(value).ok(),
        Kind::Text => {
            let unsafe_here = |c: char| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\');
            (!value.contains(unsafe_here)).then(|| vec![value.to_owned()])
        }
        Kind::Path => one(simple_path(value)?),
        Kind::Capabilities => {
            let words = words::plain_words(value).ok()?;
            Some(
                words
                    .iter()
                    .map(|word| if word == "all" { word.clone() } else { word.to_uppercase() })
                    .collect(),
            )
        }
        Kind::Signal => {
            one(match value.starts_with("SIG") || value.starts_with(|c: char| c.is_ascii_digit()) {
                true => value.to_owned(),
                false => format!("SIG{value}"),
            })
        }
        Kind::Id128 => one(value.replace('-', "").to_lowercase()),
        Kind::SystemCalls | Kind::AddressFamilies => {
            let (sign, rest) = value.strip_prefix('~').map_or(("", value), |rest| ("~", rest));
            let words = words::plain_words(rest).ok()?;
            Some(words.into_iter().map(|word| format!("{sign}{word}")).collect())
        }
        Kind::Limit if !value.contains(':') => one(format!("{value}:{value}")),
        Kind::CpuSet => {
            let ranges = value.split([' ', '\t', ',']).filter(|range| !range.is_empty());
            Some(ranges.map(str::to_owned).collect())
        }
        Kind::Mount => one(mount(value)?),
        Kind::RawPath => value.starts_with('/').then(|| vec![value.to_owned()]),
        Kind::Users | Kind::Interfaces => words::plain_words(value).ok(),
        Kind::Port => one(port(value)),
        Kind::PivotRoot
        | Kind::Personality
        | Kind::Number
        | Kind::Limit
        | Kind::OomScore
        | Kind::Hostname
        | Kind::TemporaryFileSystem
        | Kind::Overlay
        | Kind::InterfacePair
        | Kind::Interface
        | Kind::Zone => one(value.to_owned()),
    }
}

/// Sorts what has no order. Mounts are made by destination, not by place in the file (`custom_mount_prepare_all()`), so
/// all kinds of them are sorted too.
fn sort(kind: Kind, values: &mut Vec<String>) {
    match kind {
        Kind::Capabilities | Kind::CpuSet | Kind::SystemCalls => {
            values.sort_unstable();
            values.dedup();
        }
        Kind::Mount | Kind::TemporaryFileSystem | Kind::RawPath | Kind::Port => values.sort(),
        _ => {}
    }
}

fn yes_or_no(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

/// Returns an absolute path without what `path_simplify()` removes: repeated and trailing slashes and `.` components.
fn simple_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix('/')?;
    let components: Vec<&str> = rest.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Some(format!("/{}", components.join("/")))
}

/// Returns a bind mount with its destination spelled out.
fn mount(value: &str) -> Option<String> {
    let fields = words::bind_fields(value).ok()?;
    let inside = fields.source.strip_prefix('+');
    let destination = fields.destination.as_deref().or(inside).unwrap_or(&fields.source);
    if !destination.starts_with('/') || inside.is_some_and(|inside| !inside.starts_with('/')) {
        return None;
    }
    let mut text = format!("{}:{}", bind_field(&fields.source).ok()?, bind_field(destination).ok()?);
    if let Some(options) = &fields.options {
        text.push(':');
        text.push_str(options);
    }
    Some(text)
}

/// Returns `protocol:host:container`.
fn port(value: &str) -> String {
    let (protocol, ports) = match value.split_once(':') {
        Some((protocol @ ("tcp" | "udp"), ports)) => (protocol, ports),
        _ => ("tcp", value),
    };
    match ports.split_once(':') {
        Some(_) => format!("{protocol}:{ports}"),
        None => format!("{protocol}:{ports}:{ports}"),
    }
}

/// Returns whether two [`port`]s use the same port of the host, of which systemd keeps the first.
fn same_host_port(one: &str, other: &str) -> bool {
    let host = |port: &str| port.rsplit_once(':').map(|(host, _)| host.to_owned());
    host(one) == host(other)
}

#[cfg(test)]
mod tests;
