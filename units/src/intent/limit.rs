//! Limits of a container: memory, processor, tasks, resource limits of its processes (`systemd.resource-control(5)`,
//! `systemd.exec(5)`). Sizes have the base 1024, as in systemd. Accepted is a part of what systemd accepts: one number
//! with one unit.

mod amount;

use serde::{Deserialize, Serialize};

pub(crate) use amount::{Amount, amounts};

use crate::invalid::Invalid;
use crate::number_type::number_type;
use crate::string_type::string_type;
use crate::value::microseconds;

number_type! {
    /// An amount of memory (`MemoryMax=`): bytes, `2G`, `50%` of the host's memory, or `infinity`.
    MemoryLimit, check_memory, (1, None), r"^((0|[1-9][0-9]*)(\.[0-9]+)?[BKMGTPE]?|(0|[1-9][0-9]*)(\.[0-9]{1,2})?%|infinity)$"
}

fn check_memory(text: &str) -> Result<(), Invalid> {
    let well =
        text == "infinity" || share(text) || size(text).is_some_and(|bytes| (1..u64::MAX).contains(&bytes));
    let reason = "is not an amount of memory such as 1073741824, '2G', '50%' or 'infinity'";
    if well { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

number_type! {
    /// A number of tasks (`TasksMax=`), `50%` of what the host can have, or `infinity`.
    TasksMax, check_tasks, (1, None), r"^([1-9][0-9]*|(0|[1-9][0-9]*)(\.[0-9]{1,2})?%|infinity)$"
}

fn check_tasks(text: &str) -> Result<(), Invalid> {
    let well =
        text == "infinity" || share(text) || whole(text).is_some_and(|tasks| (1..u64::MAX).contains(&tasks));
    let reason = "is not a number of tasks such as 4096, '50%' or 'infinity'";
    if well { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

number_type! {
    /// A weight from 1 to 10000 (`CPUWeight=`), or `idle`.
    CpuWeight, check_cpu_weight, (1, Some(10_000)), r"^([1-9][0-9]{0,3}|10000|idle)$"
}

fn check_cpu_weight(text: &str) -> Result<(), Invalid> {
    let reason = "is not a weight (1 to 10000, or 'idle')";
    if text == "idle" || weight(text) { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

number_type! {
    /// A weight from 1 to 10000 (`IOWeight=`).
    IoWeight, check_io_weight, (1, Some(10_000)), r"^([1-9][0-9]{0,3}|10000)$"
}

fn check_io_weight(text: &str) -> Result<(), Invalid> {
    if weight(text) { Ok(()) } else { Err(Invalid::new(text, "is not a weight (1 to 10000)")) }
}

string_type! {
    /// A share of one processor's time (`CPUQuota=`): `150%` is one and a half processors.
    CpuQuota, check_quota, r"^(0|[1-9][0-9]{0,7})(\.[0-9]{1,2})?%$"
}

fn check_quota(text: &str) -> Result<(), Invalid> {
    // systemd keeps hundredths of a percent in an int.
    let well =
        hundredths(text).is_some_and(|share| (1..=u64::from(i32::MAX.unsigned_abs())).contains(&share));
    let reason = "is not a share of processor time such as '150%', above 0";
    if well { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

/// How willingly the kernel kills the container's processes when memory runs out (`OOMScoreAdjust=`), -1000 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i16")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "i64", extend("minimum" = -1000, "maximum" = 1000)))]
pub struct OomScoreAdjust(i16);

impl OomScoreAdjust {
    /// Returns the number.
    pub fn get(self) -> i16 {
        self.0
    }
}

impl TryFrom<i64> for OomScoreAdjust {
    type Error = Invalid;
    fn try_from(number: i64) -> Result<Self, Invalid> {
        match i16::try_from(number) {
            Ok(score) if (-1000..=1000).contains(&score) => Ok(Self(score)),
            _ => Err(Invalid::new(&number.to_string(), "is out of range (-1000 to 1000)")),
        }
    }
}

impl From<OomScoreAdjust> for i16 {
    fn from(score: OomScoreAdjust) -> i16 {
        score.0
    }
}

string_type! {
    /// A resource limit of `setrlimit(2)` without its `RLIMIT_`; with `Limit` in front it is the setting of
    /// `systemd.nspawn(5)`.
    RlimitName, check_rlimit_name, r"^(AS|CORE|CPU|DATA|FSIZE|LOCKS|MEMLOCK|MSGQUEUE|NICE|NOFILE|NPROC|RSS|RTPRIO|RTTIME|SIGPENDING|STACK)$"
}

/// How the values of a resource limit are parsed (`rlimit_parse()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Size,
    Number,
    Seconds,
    Microseconds,
    Nice,
}

const RLIMITS: [(&str, Unit); 16] = [
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
pub(super) fn rlimit_fault(name: &RlimitName, limit: &Rlimit) -> Option<String> {
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

fn rlimit_value(text: &str, unit: Unit) -> Option<u64> {
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

/// Parses a size with the base 1024, in bytes (`parse_size()`); a number without a unit has no fraction.
fn size(text: &str) -> Option<u64> {
    let exponent = "BKMGTPE".find(|unit| text.ends_with(unit));
    let number = if exponent.is_some() { text.get(..text.len() - 1)? } else { text };
    let unit = 1u64 << (10 * exponent.unwrap_or(0));
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(|fraction| unit > 1 && fraction.len() <= 9 && digits(fraction))
    {
        return None;
    }
    let mut bytes = self::whole(whole)?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.unwrap_or_default().bytes() {
        place /= 10;
        bytes = bytes.checked_add(u64::from(digit - b'0') * place)?;
    }
    Some(bytes)
}

/// Parses a decimal number. With a leading zero, systemd reads an octal one, or none at all.
fn whole(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn weight(text: &str) -> bool {
    whole(text).is_some_and(|weight| (1..=10_000).contains(&weight))
}

/// Returns whether it is a percentage above 0, at most 100.
fn share(text: &str) -> bool {
    hundredths(text).is_some_and(|share| (1..=10_000).contains(&share))
}

/// Parses a percentage with up to two decimal places into hundredths of a percent (`parse_permyriad_unbounded()`).
fn hundredths(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole, 8) || !digits(fraction, 2) {
        return None;
    }
    let whole = self::whole(whole)?;
    let fraction: u64 = fraction.parse::<u64>().ok()? * if fraction.len() == 1 { 10 } else { 1 };
    Some(whole * 100 + fraction)
}

#[cfg(test)]
mod tests;
