//! Resource limits: `soft[:hard]` (`rlimit-util.c`).

use super::super::finding::Problem;
use super::number::{amount, decimal};
use super::split::split;
use systemd_unit_syntax::words;

/// Checks the value of a `Limit…=` setting.
pub(super) fn check(key: &str, value: &str, systemd: u32) -> Result<(), Problem> {
    let fields = split(words::fields(value))?;
    let (soft, hard) = match fields.as_slice() {
        [soft] => (soft, soft),
        [soft, hard] => (soft, hard),
        // A further colon is allowed.
        [soft, hard, last] if last.is_empty() => (soft, hard),
        _ => return Err(Problem::of(value, "is not 'soft:hard'")),
    };
    let read = |text: &str| one(key, text, systemd).ok_or_else(|| Problem::of(text, described(key)));
    let (soft, hard) = (read(soft)?, read(hard)?);
    if soft > hard {
        return Err(Problem::of(value, "has a soft limit above its hard limit"));
    }
    Ok(())
}

fn described(key: &str) -> &'static str {
    match key {
        "LimitCPU" | "LimitRTTIME" => "is not a time span such as '10s', nor 'infinity'",
        "LimitNICE" => "is not a nice level from '-20' to '+19', nor a number from 0 to 40",
        "LimitNOFILE" | "LimitNPROC" | "LimitLOCKS" | "LimitSIGPENDING" | "LimitRTPRIO" => {
            "is not a number, nor 'infinity'"
        }
        _ => "is not a size such as '8M', nor 'infinity'",
    }
}

/// Returns one of both limits, the largest number for `infinity`.
fn one(key: &str, text: &str, systemd: u32) -> Option<u64> {
    let finite = |limit: u64| (limit != u64::MAX).then_some(limit);
    match key {
        "LimitCPU" => span(text, 1_000_000),
        "LimitRTTIME" => span(text, 1),
        "LimitNICE" => nice(text, systemd),
        _ if text == "infinity" => Some(u64::MAX),
        "LimitNOFILE" | "LimitNPROC" | "LimitLOCKS" | "LimitSIGPENDING" | "LimitRTPRIO" => {
            amount(text, systemd).and_then(finite)
        }
        _ => size(text).and_then(finite),
    }
}

/// Reads a time span; a bare number is in `unit` microseconds. Seconds are rounded up.
fn span(text: &str, unit: u64) -> Option<u64> {
    super::span::time(text, unit).map(|length| match length {
        None => u64::MAX,
        Some(length) => length.div_ceil(unit),
    })
}

fn nice(text: &str, systemd: u32) -> Option<u64> {
    if let Some(level) = text.strip_prefix('+') {
        amount(level, systemd).filter(|level| *level < 20).map(|level| 20 - level)
    } else if let Some(level) = text.strip_prefix('-') {
        amount(level, systemd).filter(|level| *level <= 20).map(|level| 20 + level)
    } else {
        amount(text, systemd).filter(|limit| *limit <= 40)
    }
}

/// Reads a size such as `1G512M` or `1.5K` (`parse_size()`); suffixes come in falling order.
fn size(text: &str) -> Option<u64> {
    const SUFFIXES: [(&str, u64); 8] = [
        ("E", 1 << 60),
        ("P", 1 << 50),
        ("T", 1 << 40),
        ("G", 1 << 30),
        ("M", 1 << 20),
        ("K", 1 << 10),
        ("B", 1),
        ("", 1),
    ];
    let blanks = [' ', '\t', '\n', '\r'];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut from = 0;
    loop {
        rest = rest.trim_start_matches(blanks);
        let number = decimal(rest)?;
        if rest.starts_with('-') {
            return None;
        }
        let whole = if number.negative { number.amount.wrapping_neg() } else { number.amount };
        let mut after = rest.get(number.length..)?;
        let mut fraction = 0.0;
        if let Some(digits) = after.strip_prefix('.') {
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, end) = digits.split_at(length);
            if !digits.is_empty() {
                digits.parse::<u64>().ok()?;
                fraction = format!("0.{digits}").parse::<f64>().ok()?;
            }
            after = end;
        }
        after = after.trim_start_matches(blanks);
        let at = (from..SUFFIXES.len()).find(|at| after.starts_with(SUFFIXES[*at].0))?;
        let (suffix, factor) = SUFFIXES[at];
        if whole.checked_add(u64::from(fraction > 0.0))? > u64::MAX / factor {
            return None;
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let part = whole * factor + (fraction * factor as f64) as u64;
        total = total.checked_add(part)?;
        rest = after.get(suffix.len()..)?;
        from = at + 1;
        if rest.is_empty() {
            return Some(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (key, value) in [
            ("LimitNOFILE", "1024:infinity"),
            ("LimitNOFILE", "0x10"),
            ("LimitAS", "1G512M:2G:"),
            ("LimitAS", "1.5K"),
            ("LimitCPU", "1min 30s:infinity"),
            ("LimitNICE", "-5"),
            ("LimitNICE", "+19:40"),
        ] {
            assert_eq!(check(key, value, 257), Ok(()), "{key}={value}");
        }
        for (key, value) in [
            ("LimitNOFILE", ""),
            ("LimitNOFILE", "2:1"),
            ("LimitNOFILE", "1:"),
            ("LimitNOFILE", "1:2:3"),
            ("LimitNOFILE", "1K"),
            ("LimitAS", "1M1G"),
            ("LimitAS", "16E"),
            ("LimitCPU", "1."),
            ("LimitNICE", "+20"),
            ("LimitNICE", "41"),
        ] {
            assert!(check(key, value, 257).is_err(), "{key}={value}");
        }
        assert_eq!(
            (size("1.5K"), size("2M 1K"), span("1.5", 1_000_000)),
            (Some(1536), Some(2_098_176), Some(2))
        );
    }
}
