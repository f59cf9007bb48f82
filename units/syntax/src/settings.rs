//! What is known about each setting of a `.nspawn` file: its type, the first systemd that knows it, what repeating or
//! emptying it does, and whether only trusted files may contain it. The table is that of `nspawn-gperf.gperf` up to
//! systemd 262. [`super::effective()`] tells what a file's settings add up to.

mod kind;
mod table;

pub use kind::{Empty, Kind, Setting};
pub use table::SETTINGS;

/// Returns the setting of that name, spelled exactly; `None` if systemd up to 262 does not know it.
pub fn setting(section: &str, key: &str) -> Option<&'static Setting> {
    // The key first: its length alone tells most of them apart.
    SETTINGS.iter().find(|setting| setting.key == key && setting.section == section)
}

/// Parses a boolean as systemd does, in any case (`parse_boolean()`, `systemd.syntax(7)`).
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["1", "yes", "y", "true", "t", "on"]) {
        Some(true)
    } else if is_one_of(&["0", "no", "n", "false", "f", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// Returns a boolean as systemd reads it.
pub fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn the_table_is_complete_and_without_duplicates() {
        assert_eq!(SETTINGS.iter().filter(|setting| setting.since <= 252).count(), 61);
        assert_eq!(SETTINGS.len(), 65);
        for known in SETTINGS {
            assert_eq!(setting(known.section, known.key), Some(known));
        }
        assert_eq!(setting("Exec", "boot"), None);
        assert_eq!(setting("Files", "Boot"), None);
    }

    #[test]
    fn booleans_in_any_case() {
        for text in ["1", "yes", "Y", "TRUE", "t", "On"] {
            assert_eq!(parse_boolean(text), Some(true), "{text}");
        }
        for text in ["0", "no", "N", "False", "f", "OFF"] {
            assert_eq!(parse_boolean(text), Some(false), "{text}");
        }
        for text in ["", " yes", "2", "enable", "ye"] {
            assert_eq!(parse_boolean(text), None, "{text}");
        }
    }
}
