//! How much a limit allows, so that two values of one limit can be compared.

use super::number::{hundredths, size, whole};
use super::rlimit::{RLIMITS, Unit, rlimit_value};

/// What one value of a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Amount {
    /// A number in its unit.
    Plain(u64),
    /// A share of the host, in hundredths of a percent.
    Share(u64),
    /// No limit.
    Infinite,
    /// An amount that only the host knows.
    Unknown,
}

impl Amount {
    /// Returns how much memory the text stands for.
    pub(crate) fn of_memory(text: &str) -> Self {
        match hundredths(text).map(Self::Share).or_else(|| size(&text.to_uppercase()).map(Self::Plain)) {
            Some(amount) => amount,
            None => Self::Unknown,
        }
    }

    /// Returns whether it is known to allow no more than the other.
    pub(crate) fn within(self, other: Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(other)) | (Self::Share(one), Self::Share(other)) => one <= other,
            (Self::Unknown, _) | (_, Self::Unknown) => false,
            (_, Self::Infinite) => true,
            (Self::Infinite, _) | (Self::Plain(_), Self::Share(_)) | (Self::Share(_), Self::Plain(_)) => {
                false
            }
        }
    }
}

/// Returns what a value of the setting allows, a soft and a hard limit each; `None` stands for the setting's default.
pub(crate) fn amounts(setting: &str, value: Option<&str>) -> Vec<Amount> {
    if let Some(name) = setting.strip_prefix("Limit") {
        return rlimit(name, value);
    }
    let text = match (setting, value) {
        ("TasksMax", None) => "16384",
        ("CPUWeight" | "IOWeight", None) => "100",
        ("OOMScoreAdjust", None) => "0",
        (_, None) => "infinity",
        (_, Some(text)) => text,
    };
    let number = |number: Option<u64>| number.map_or(Amount::Unknown, Amount::Plain);
    vec![match setting {
        _ if text == "infinity" => Amount::Infinite,
        // A share of one processor, whatever the host has.
        "CPUQuota" => number(hundredths(text)),
        "CPUWeight" if text == "idle" => Amount::Plain(0),
        // A lower score is spared longer when memory runs out.
        "OOMScoreAdjust" => {
            number(text.parse::<i64>().ok().and_then(|score| u64::try_from(1000 - score).ok()))
        }
        "CPUWeight" | "IOWeight" => number(whole(text)),
        _ if text.ends_with('%') => hundredths(text).map_or(Amount::Unknown, Amount::Share),
        "TasksMax" => number(whole(text)),
        _ => number(size(text)),
    }]
}

/// Returns what a resource limit allows. Without a value, nspawn uses the limits of the host's PID 1.
fn rlimit(name: &str, value: Option<&str>) -> Vec<Amount> {
    let unit = RLIMITS.iter().find(|(known, _)| *known == name).map_or(Unit::Number, |(_, unit)| *unit);
    let one = |text: &str| match rlimit_value(text, unit) {
        Some(u64::MAX) => Amount::Infinite,
        Some(number) => Amount::Plain(number),
        None => Amount::Unknown,
    };
    let Some(value) = value else { return vec![Amount::Unknown; 2] };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    vec![one(soft), one(hard)]
}
