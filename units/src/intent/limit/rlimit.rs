//! Resource limits of a container's processes (`setrlimit(2)`).

use super::number::{size, whole};
use crate::invalid::Invalid;
use crate::number_type::number_type;
use crate::string_type::string_type;
use crate::value::microseconds;

string_type! {
    /// A resource limit of `setrlimit(2)` without its `RLIMIT_`; with `Limit` in front it is the setting of
    /// `systemd.nspawn(5)`.
    RlimitName, check_rlimit_name, r"^(AS|CORE|CPU|DATA|FSIZE|LOCKS|MEMLOCK|MSGQUEUE|NICE|NOFILE|NPROC|RSS|RTPRIO|RTTIME|SIGPENDING|STACK)$"
}

/// How the values of a resource limit are parsed (`rlimit_parse()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Size,
    Number,
    Seconds,
    Microseconds,
    Nice,
}

pub(super) const RLIMITS: [(&str, Unit); 16] = [
    ("AS", Unit::Size),
    ("CORE", Unit::Size),
    ("CPU", Unit::Seconds),
    ("DATA", Unit::Size),
    ("FSIZE", Unit::Size),
    ("LOCKS", Unit::Number),
    ("MEMLOCK", Unit::Size),
    ("MSGQUEUE", Unit::Size),
    ("NICE", Unit::Nice),
    ("NOFILE", Unit::Number),
    ("NPROC", Unit::Number),
    ("RSS", Unit::Size),
    ("RTPRIO", Unit::Number),
    ("RTTIME", Unit::Microseconds),
    ("SIGPENDING", Unit::Number),
    ("STACK", Unit::Size),
];

fn check_rlimit_name(text: &str) -> Result<(), Invalid> {
    if RLIMITS.iter().any(|(name, _)| *name == text) {
        return Ok(());
    }
    let names: Vec<&str> = RLIMITS.iter().map(|(name, _)| *name).collect();
    Err(Invalid::new(text, format!("is not a resource limit (there are {})", names.join(", "))))
}

number_type! {
    /// A resource limit, or a soft and a hard one separated by `:`; `infinity` for none.
    Rlimit, check_rlimit, (0, None), r"^[^\s:\x00-\x1f\x7f]+( [0-9a-z]+)*(:[^\s:\x00-\x1f\x7f]+( [0-9a-z]+)*)?$"
}

fn check_rlimit(text: &str) -> Result<(), Invalid> {
    // Which values are valid depends on the name: see rlimit_fault().
    let parts: Vec<&str> = text.split(':').collect();
    let part = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b' ');
        !part.is_empty() && part.trim() == part && part.bytes().all(plain)
    };
    let reason = "is not a resource limit such as 1024, '1024:4096' or 'infinity'";
    if parts.len() <= 2 && parts.iter().copied().all(part) { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

/// Returns what is wrong with the value of the limit of this name.
pub(in crate::intent) fn rlimit_fault(name: &RlimitName, limit: &Rlimit) -> Option<String> {
    let unit =
        RLIMITS.iter().find(|(known, _)| *known == name.as_str()).map_or(Unit::Number, |(_, unit)| *unit);
    let mut last = 0;
    for part in limit.as_str().split(':') {
        let Some(value) = rlimit_value(part, unit) else {
            let wanted = match unit {
                Unit::Size => "a size such as '64M'",
                Unit::Number => "a whole number",
                Unit::Seconds | Unit::Microseconds => "a time span such as '30s'",
                Unit::Nice => "a nice level such as '+5' or '-5', or a number from 1 to 40",
            };
            return Some(format!("'{part}' is not {wanted}, nor 'infinity'"));
        };
        if value < last {
            return Some(format!("'{limit}' has a soft limit above the hard one"));
        }
        last = value;
    }
    None
}

pub(super) fn rlimit_value(text: &str, unit: Unit) -> Option<u64> {
    if text == "infinity" {
        return Some(u64::MAX);
    }
    let span = |text: &str| microseconds(text).map(|span| span.unwrap_or(u64::MAX));
    match unit {
        Unit::Size => size(text),
        Unit::Number => whole(text),
        Unit::Seconds => span(text).map(|span| span.div_ceil(1_000_000)),
        Unit::Microseconds => whole(text).or_else(|| span(text)),
        Unit::Nice if text.starts_with(['+', '-']) => {
            whole(&text[1..])?;
            let level: i64 = text.parse().ok().filter(|level| (-20..=19).contains(level))?;
            u64::try_from(20 - level).ok()
        }
        Unit::Nice => whole(text).filter(|number| (1..=40).contains(number)),
    }
}
