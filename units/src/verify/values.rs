//! Checks one value as the parser of its setting does (`nspawn-settings.c`, `conf-parser.c`).

mod limit;
mod list;
mod mount;
mod name;
mod number;
mod path;
mod span;
mod split;

use super::finding::Problem;
use split::split;
use systemd_unit_syntax::settings::{Kind, Setting, parse_boolean};
use systemd_unit_syntax::words;

/// Returns what systemd finds wrong with a value. What depends on other lines is not looked at.
pub(super) fn check(setting: &Setting, value: &str, systemd: u32) -> Vec<Problem> {
    let one = |result: Result<(), Problem>| result.err().into_iter().collect();
    match setting.kind {
        Kind::Boolean => one(boolean(value)),
        Kind::Tristate if value.is_empty() => Vec::new(),
        Kind::Tristate => one(boolean(value)),
        Kind::Choice { values, .. } => one(choice(setting, values, value, systemd)),
        Kind::Words => one(split(words::nspawn_words(value)).map(|_| ())),
        Kind::Text => one(text(value)),
        Kind::Path if value.is_empty() => Vec::new(),
        Kind::Path => one(path::simple(value)),
        Kind::PivotRoot => one(path::pivot_root(value)),
        Kind::Capabilities => list::capabilities(value, systemd),
        Kind::Signal => one(name::signal(value, systemd)),
        Kind::Personality if value.is_empty() => Vec::new(),
        Kind::Personality => one(name::personality(value, std::env::consts::ARCH)),
        Kind::Id128 => one(name::id128(value, systemd)),
        Kind::PrivateUsers => one(list::private_users(value, systemd)),
        Kind::Number => one(number::unsigned(value, systemd).map(|_| ())),
        Kind::SystemCalls => {
            one(split(words::plain_words(value.strip_prefix('~').unwrap_or(value))).map(|_| ()))
        }
        Kind::AddressFamilies => one(list::address_families(value)),
        Kind::Limit => one(limit::check(setting.key, value, systemd)),
        Kind::OomScore if value.is_empty() => Vec::new(),
        Kind::OomScore => one(number::within(value, -1000, 1000, systemd)),
        Kind::CpuSet => list::cpus(value, systemd),
        Kind::Hostname if value.is_empty() => Vec::new(),
        Kind::Hostname => one(name::hostname(value)),
        Kind::Mount => one(mount::bind(value)),
        Kind::TemporaryFileSystem => one(mount::tmpfs(value)),
        Kind::RawPath => one(path::absolute(value)),
        Kind::Overlay => one(mount::overlay(value)),
        Kind::Users => one(list::users(value)),
        Kind::Shell if value.is_empty() => Vec::new(),
        Kind::Shell => one(path::shell(value)),
        Kind::Interfaces => one(list::interfaces(value, systemd).map_err(Problem::refused)),
        Kind::InterfacePair => one(list::interface_pair(value, systemd)),
        Kind::Interface if value.is_empty() => Vec::new(),
        Kind::Interface => one(name::interface(value, systemd)),
        Kind::Zone => one(name::zone(value, systemd)),
        Kind::Port => one(list::port(value, systemd).map(|_| ())),
    }
}

pub(super) use list::port;

fn boolean(value: &str) -> Result<(), Problem> {
    match parse_boolean(value) {
        Some(_) => Ok(()),
        None => {
            Err(Problem::of(value, "is neither 'yes' nor 'no'").among(value, ["yes", "no", "true", "false"]))
        }
    }
}

fn choice(setting: &Setting, values: &[&str], value: &str, systemd: u32) -> Result<(), Problem> {
    // "foreign" is the only value of these that came later than its setting.
    let later = |word: &str| setting.key == "PrivateUsersOwnership" && word == "foreign" && systemd < 258;
    if parse_boolean(value).is_some() || values.contains(&value) && !later(value) {
        return Ok(());
    }
    if later(value) {
        return Err(Problem { since: Some(258), ..Problem::of(value, "is known since version 258 only") });
    }
    let known: Vec<&str> = values.iter().copied().filter(|word| !later(word)).collect();
    let reason = format!("is none of {}", known.join(", "));
    Err(Problem::of(value, &reason).among(value, known))
}

fn text(value: &str) -> Result<(), Problem> {
    let unsafe_here = |c: char| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\');
    match value.find(unsafe_here) {
        Some(_) => Err(Problem::of(value, "contains a quote, a backslash or a control character")),
        None => Ok(()),
    }
}
