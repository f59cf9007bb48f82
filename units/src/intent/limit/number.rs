//! Parses the numbers of limits as systemd does.

/// Parses a size with the base 1024, in bytes (`parse_size()`); a number without a unit has no fraction.
pub(super) fn size(text: &str) -> Option<u64> {
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
pub(super) fn whole(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Parses a percentage with up to two decimal places into hundredths of a percent (`parse_permyriad_unbounded()`).
pub(super) fn hundredths(text: &str) -> Option<u64> {
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
