//! Numbers as systemd reads them: those of C with Python's prefixes `0b` and `0o` (`parse-util.c`).

use super::super::finding::Problem;

/// A number at the beginning of a text, as `strtoull()` reads it.
pub(super) struct Scanned {
    /// Its amount.
    pub(super) amount: u64,
    /// Whether a minus stands before it.
    pub(super) negative: bool,
    /// How many bytes it takes, with blanks and sign before it.
    pub(super) length: usize,
}

/// The first systemd that reads `0b` as C did before 2023: not after a sign, and not twice.
const OLD_C: u32 = 258;

/// Reads the number at the beginning of a text in base 10.
pub(super) fn decimal(text: &str) -> Option<Scanned> {
    scan(text, 10, false)
}

/// Reads the number at the beginning of a text in the given base; 0 takes the base from the prefix, of which `0b` is one
/// if `binary`. `None` if there is none, or if it takes more than 64 bits.
fn scan(text: &str, base: u32, binary: bool) -> Option<Scanned> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let bytes = text.as_bytes();
    let mut at = bytes.iter().take_while(|byte| blank(byte)).count();
    let negative = bytes.get(at) == Some(&b'-');
    if matches!(bytes.get(at), Some(b'+' | b'-')) {
        at += 1;
    }
    let digit = |at: usize, base: u32| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(base));
    let prefixed = |letters: [u8; 2], base| {
        bytes.get(at) == Some(&b'0')
            && bytes.get(at + 1).is_some_and(|byte| letters.contains(byte))
            && digit(at + 2, base).is_some()
    };
    let base = match base {
        0 | 16 if prefixed(*b"xX", 16) => {
            at += 2;
            16
        }
        0 | 2 if binary && prefixed(*b"bB", 2) => {
            at += 2;
            2
        }
        0 if bytes.get(at) == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    digit(at, base)?;
    let mut amount: u64 = 0;
    while let Some(digit) = digit(at, base) {
        amount = amount.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
        at += 1;
    }
    Some(Scanned { amount, negative, length: at })
}

/// Strips what [`scan`] does not: the prefixes `0b` and `0o`, which even stand before a sign.
fn mangled(text: &str) -> (&str, u32) {
    match text.get(..2) {
        Some("0b" | "0B") => (&text[2..], 2),
        Some("0o" | "0O") => (&text[2..], 8),
        _ => (text, 0),
    }
}

/// Reads a number that is not negative (`safe_atou64()`); `None` if it is none.
pub(super) fn amount(text: &str, systemd: u32) -> Option<u64> {
    let (text, base) = mangled(text.trim_start_matches([' ', '\t', '\n', '\r']));
    let number = scan(text, base, systemd < OLD_C).filter(|number| number.length == text.len())?;
    match number.negative {
        // Only a minus at the very beginning is refused, as there are blanks that systemd does not strip.
        true if number.amount != 0 && text.starts_with('-') => None,
        true => Some(number.amount.wrapping_neg()),
        false => Some(number.amount),
    }
}

/// Reads a number of 32 bits (`safe_atou()`).
pub(super) fn small(text: &str, systemd: u32) -> Option<u32> {
    amount(text, systemd).and_then(|number| u32::try_from(number).ok())
}

/// Reads a number that may be negative (`safe_atoi()`).
pub(super) fn signed(text: &str, systemd: u32) -> Option<i32> {
    let (text, base) = mangled(text.trim_start_matches([' ', '\t', '\n', '\r']));
    let number = scan(text, base, systemd < OLD_C).filter(|number| number.length == text.len())?;
    let amount = i64::try_from(number.amount).ok()?;
    i32::try_from(if number.negative { -amount } else { amount }).ok()
}

/// Reads a user's number (`parse_uid()`): decimal digits only.
pub(super) fn uid(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|uid| plain && !matches!(uid, 0xffff | 0xffff_ffff))
}

/// Checks a number that is not negative.
pub(super) fn unsigned(value: &str, systemd: u32) -> Result<u32, Problem> {
    small(value, systemd).ok_or_else(|| Problem::of(value, "is not a number from 0 to 4294967295"))
}

/// Checks a number that may be negative.
pub(super) fn within(value: &str, least: i32, most: i32, systemd: u32) -> Result<(), Problem> {
    match signed(value, systemd) {
        Some(number) if (least..=most).contains(&number) => Ok(()),
        _ => Err(Problem::of(value, &format!("is not a number from {least} to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        for (text, number) in [
            ("0", 0),
            ("010", 8),
            ("0x1f", 31),
            ("0b101", 5),
            ("0o17", 15),
            (" +7", 7),
            ("-0", 0),
            ("0B1", 1),
        ] {
            assert_eq!(amount(text, 262), Some(number), "{text:?}");
        }
        for text in ["", "-1", "1 ", "0x", "08", "0b2", "1e3", "18446744073709551616", "\u{b}"] {
            assert_eq!(amount(text, 257), None, "{text:?}");
        }
        assert_eq!(signed("-0x10", 262), Some(-16));
        assert_eq!((signed("-0b10", 257), signed("-0b10", 258)), (Some(-2), None));
        assert_eq!(signed("2147483648", 262), None);
        assert_eq!(
            (uid("0"), uid("01"), uid("+1"), uid("65535"), uid("65534")),
            (Some(0), None, None, None, Some(65534))
        );
    }
}
