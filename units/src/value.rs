//! Values of an intent: paths, store paths, ports, time spans, free text. A value that exists can be written into a
//! unit file; nothing here looks at the disk.

use crate::string_type::string_type;
use systemd_unit_syntax::escape::is_printable_ascii;

pub use crate::invalid::{Invalid, shown};

pub(crate) fn no_control_characters(text: &str) -> Result<(), Invalid> {
    if is_printable_ascii(text) {
        return Ok(());
    }
    // systemd takes Unicode's noncharacters for broken UTF-8 (src/basic/utf8.c) and stops reading the file.
    let noncharacter = |c: char| matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe;
    match text.chars().find(|c| c.is_control() || noncharacter(*c)) {
        Some(c) if c.is_control() => {
            Err(Invalid::new(text, format!("contains a control character ({})", c.escape_debug())))
        }
        Some(_) => Err(Invalid::new(text, "contains a Unicode noncharacter, which systemd refuses")),
        None => Ok(()),
    }
}

string_type! {
    /// Free text of one line without control characters, such as a flake reference.
    Text, check_text, r"^[^\x00-\x1f\x7f]+$"
}

fn check_text(text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(text, "is empty"));
    }
    no_control_characters(text)
}

string_type! {
    /// An absolute path without `.` and `..` components, without control characters, and without blanks at its end.
    /// systemd strips blanks at the ends of a value and takes a trailing backslash for a continuation
    /// (`systemd.syntax(7)`), so neither is allowed.
    AbsolutePath, check_absolute_path, r"^/[^\x00-\x1f\x7f]*$"
}

fn check_absolute_path(text: &str) -> Result<(), Invalid> {
    // PATH_MAX of linux/limits.h counts the terminating NUL.
    const PATH_MAX: usize = 4096;
    if !text.starts_with('/') {
        return Err(Invalid::new(text, "is not an absolute path"));
    }
    no_control_characters(text)?;
    let mut is_too_long = text.len() >= PATH_MAX;
    for part in text.as_bytes().split(|byte| *byte == b'/') {
        if part == b"." || part == b".." {
            return Err(Invalid::new(text, "has a '.' or '..' component"));
        }
        is_too_long |= part.len() > 255;
    }
    if is_too_long {
        return Err(Invalid::new(text, "is longer than Linux allows"));
    }
    if text.ends_with(char::is_whitespace) || text.ends_with('\\') {
        return Err(Invalid::new(text, "ends in a blank or a backslash, which unit files cannot hold"));
    }
    Ok(())
}

/// Refuses paths that PID 1 cannot pass on to the process that it starts a service with: it separates words by blanks and
/// reads backslashes as escapes (`exec_context_serialize()`, systemd 257 to 262), so another file would be used.
pub(crate) fn plain_path(text: &str) -> Result<(), Invalid> {
    check_absolute_path(text)?;
    if text.contains([' ', '\\']) {
        return Err(Invalid::new(
            text,
            "contains a blank or a backslash, with which systemd uses another file",
        ));
    }
    Ok(())
}

/// Returns whether a path has slashes in a row. Paths are too short for a search of str to pay.
pub(crate) fn has_double_slashes(path: &str) -> bool {
    path.as_bytes().windows(2).any(|pair| pair == b"//")
}

/// Returns the path with single slashes, since systemd refuses others in some settings.
pub(crate) fn single_slashes(path: &str) -> std::borrow::Cow<'_, str> {
    if !has_double_slashes(path) {
        return path.into();
    }
    let mut short = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !short.ends_with('/') {
            short.push(c);
        }
    }
    short.into()
}

string_type! {
    /// A path directly below /nix/store: a 32-character hash, a dash and a name.
    StorePath, check_store_path, r"^/nix/store/[0-9a-z]{32}-[0-9a-zA-Z+._?=-]{1,211}$"
}

fn check_store_path(text: &str) -> Result<(), Invalid> {
    let Some(base) = text.strip_prefix("/nix/store/") else {
        return Err(Invalid::new(text, "is not a path in /nix/store"));
    };
    if base.contains('/') {
        return Err(Invalid::new(text, "is not directly below /nix/store"));
    }
    let well_formed = base.split_at_checked(32).is_some_and(|(hash, rest)| {
        let name = rest.strip_prefix('-').unwrap_or_default();
        hash.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            && (1..=211).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_' | b'?' | b'='))
    });
    if well_formed {
        Ok(())
    } else {
        Err(Invalid::new(text, "is not a store path (/nix/store/<32 characters>-<name>)"))
    }
}

impl StorePath {
    /// Returns the program that nspawn runs as PID 1 of the container.
    pub fn init(&self) -> String {
        [self.as_str(), "/init"].concat()
    }
}

/// A TCP or UDP port, 1–65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "i64", into = "u16")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("minimum" = 1, "maximum" = 65535)))]
pub struct Port(u16);

impl Port {
    /// Returns the number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for Port {
    type Error = Invalid;
    fn try_from(number: i64) -> Result<Self, Invalid> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(Invalid::new(&number.to_string(), "is not a port (1 to 65535)")),
        }
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> u16 {
        port.0
    }
}

string_type! {
    /// A time span as in `systemd.time(7)`: `90s`, `5min 20s`, `infinity`; a bare number is seconds.
    Timespan, check_timespan, r"^ *(infinity|([0-9.]+ *[a-zA-Zµμ]* *)+)$"
}

fn check_timespan(text: &str) -> Result<(), Invalid> {
    microseconds(text)
        .map(|_| ())
        .ok_or_else(|| Invalid::new(text, "is not a time span such as '90s' or '5min' (systemd.time(7))"))
}

impl Timespan {
    /// Returns the length in microseconds; `None` for `infinity`, and for `0`, which turns a timeout off in systemd.
    pub fn microseconds(&self) -> Option<u64> {
        microseconds(&self.0).flatten().filter(|length| *length > 0)
    }
}

/// Parses a time span: `Some(None)` is infinity, `None` is not a time span.
pub(crate) fn microseconds(text: &str) -> Option<Option<u64>> {
    let mut rest = text.trim_matches(' ');
    if rest == "infinity" {
        return Some(None);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start_matches(' ');
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        total = total.checked_add(scaled(number, unit_microseconds(unit)?)?)?;
        rest = next.trim_start_matches(' ');
    }
    Some(Some(total))
}

fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // To systemd `1.` is no number, `.5` is one.
    if number.contains('.') && fraction.is_empty() || number.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut length = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.checked_mul(unit)? };
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        length = length.checked_add(u64::from(digit - b'0') * place)?;
    }
    Some(length)
}

fn unit_microseconds(unit: &str) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    Some(match unit {
        "us" | "usec" | "µs" | "μs" => 1,
        "ms" | "msec" => 1_000,
        "" | "s" | "sec" | "second" | "seconds" => SECOND,
        "m" | "min" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "week" | "weeks" => 7 * 86_400 * SECOND,
        // systemd's months and years are averages (systemd.time(7)).
        "M" | "month" | "months" => 2_629_800 * SECOND,
        "y" | "year" | "years" => 31_557_600 * SECOND,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans() {
        let span = |text: &str| text.parse::<Timespan>().map(|t| t.microseconds());
        assert_eq!(span("90s"), Ok(Some(90_000_000)));
        assert_eq!(span("5min 20s"), Ok(Some(320_000_000)));
        assert_eq!(span("1.5h"), Ok(Some(5_400_000_000)));
        assert_eq!(span("2"), Ok(Some(2_000_000)));
        assert_eq!(span("infinity"), Ok(None));
        assert_eq!(span("0"), Ok(None));
        for bad in ["", "lots", "5 parsecs", "-1s", "1..5s", ".", "1.", "1.s", "99999999999999999999y"] {
            assert!(span(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn paths() {
        for good in ["/", "/srv/a b", "/srv/x:y", "/a\\b", "/nix/store"] {
            assert!(good.parse::<AbsolutePath>().is_ok(), "{good:?}");
        }
        for bad in ["", "srv", "/a/../b", "/a/./b", "/a\nb", "/a ", "/a\\", "/a\u{7f}"] {
            assert!(bad.parse::<AbsolutePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn paths_for_pid_1() {
        assert!(plain_path("/srv/cred/x").is_ok() && plain_path("/srv//ä").is_ok());
        for bad in ["srv", "/srv/a b", r"/srv/a\b", r"/dev/disk/by-label/a\x20b", "/a/../b"] {
            assert!(plain_path(bad).is_err(), "{bad:?}");
        }
        for (path, short) in [("/srv//cred///x", "/srv/cred/x"), ("//a/", "/a/"), ("/a", "/a")] {
            assert_eq!(single_slashes(path), short);
        }
    }

    #[test]
    fn store_paths() {
        assert!("/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-demo".parse::<StorePath>().is_ok());
        for bad in
            ["/nix/store/short-x", "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-x/y", "/srv", "/nix/store/é"]
        {
            assert!(bad.parse::<StorePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refused_values_are_shown_on_one_line() {
        let error = "/a\n\u{1b}[31m".parse::<AbsolutePath>().unwrap_err().to_string();
        assert_eq!(error, r"'/a\n\u{1b}[31m' contains a control character (\n)");
    }
}
