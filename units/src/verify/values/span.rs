//! Time spans as systemd reads them (`parse_time()` in `time-util.c`).

use super::number::decimal;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 2_629_800 * SECOND;
const YEAR: u64 = 31_557_600 * SECOND;

/// Units of time in microseconds; the first that a text begins with counts.
const UNITS: &[(&str, u64)] = &[
    ("seconds", SECOND),
    ("second", SECOND),
    ("sec", SECOND),
    ("s", SECOND),
    ("minutes", MINUTE),
    ("minute", MINUTE),
    ("min", MINUTE),
    ("months", MONTH),
    ("month", MONTH),
    ("M", MONTH),
    ("msec", 1000),
    ("ms", 1000),
    ("m", MINUTE),
    ("hours", HOUR),
    ("hour", HOUR),
    ("hr", HOUR),
    ("h", HOUR),
    ("days", DAY),
    ("day", DAY),
    ("d", DAY),
    ("weeks", WEEK),
    ("week", WEEK),
    ("w", WEEK),
    ("years", YEAR),
    ("year", YEAR),
    ("y", YEAR),
    ("usec", 1),
    ("us", 1),
    ("μs", 1),
    ("µs", 1),
];

/// Returns the length in microseconds, `Some(None)` for infinity, and `None` if the text is no time span; a number
/// without a unit is in `unit` microseconds.
pub(super) fn time(text: &str, unit: u64) -> Option<Option<u64>> {
    let blanks = [' ', '\t', '\n', '\r'];
    let mut rest = text.trim_start_matches(blanks);
    if let Some(after) = rest.strip_prefix("infinity") {
        return after.trim_start_matches(blanks).is_empty().then_some(None);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    // The largest number stands for infinity.
    let add = |total: u64, more: u64| total.checked_add(more).filter(|total| *total < u64::MAX);
    while !rest.is_empty() {
        if rest.starts_with('-') {
            return None;
        }
        let (whole, after) = match decimal(rest) {
            Some(number) if number.negative && number.amount != 0 => return None,
            Some(number) => (i64::try_from(number.amount).ok()?.unsigned_abs(), rest.get(number.length..)?),
            // Too large, or it begins with a point.
            None if rest.starts_with('.') => (0, rest),
            None => return None,
        };
        let fraction = after
            .strip_prefix('.')
            .map(|digits| digits.split_at(digits.bytes().take_while(u8::is_ascii_digit).count()));
        let end = fraction.map_or(after, |(_, end)| end);
        let name = end.trim_start_matches(blanks);
        let known = UNITS.iter().find(|(known, _)| name.starts_with(known));
        if known.is_none() && name.len() == end.len() && !name.is_empty() {
            return None;
        }
        let multiplier = known.map_or(unit, |(_, length)| *length);
        rest = known.map_or(Some(name), |(known, _)| name.get(known.len()..))?;
        if whole >= u64::MAX / multiplier {
            return None;
        }
        total = add(total, whole * multiplier)?;
        if let Some((digits, _)) = fraction {
            if digits.is_empty() {
                return None;
            }
            let mut place = multiplier / 10;
            for digit in digits.bytes() {
                total = add(total, u64::from(digit - b'0') * place)?;
                place /= 10;
            }
        }
        rest = rest.trim_start_matches(blanks);
    }
    Some(Some(total))
}
