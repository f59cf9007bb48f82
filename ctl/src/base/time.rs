//! Formats points in time: local time without an offset for people, RFC 3339 in UTC for scripts. The time zone is the
//! caller's: TZ, or /etc/localtime.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The pattern of what [`utc`] returns.
#[cfg(feature = "schema")]
pub(crate) const UTC: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

/// Converts an RFC 3339 time to local time, `2026-11-23 10:00:00`; other text is returned unchanged.
pub(crate) fn local_of(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |time| in_zone(time, TimeZone::system()))
}

/// Formats a time as RFC 3339 in UTC, `2026-11-23T10:00:00Z`.
pub(crate) fn utc(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

/// Converts seconds since 1970, as `systemctl --timestamp=unix` prints them (`@1795428000`), to UTC.
pub(crate) fn utc_of_unix(text: &str) -> Option<String> {
    let seconds: u64 = text.trim().strip_prefix('@')?.parse().ok()?;
    Some(utc(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)))
}

/// Returns the point in time of an RFC 3339 text.
pub(crate) fn of(text: &str) -> Option<SystemTime> {
    let seconds = text.parse::<Timestamp>().ok()?.as_second();
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Formats a duration by its two largest units, such as `3d 4h`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}min"),
        (0, hours, minutes) => format!("{hours}h {minutes}min"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

fn in_zone(time: Timestamp, zone: TimeZone) -> String {
    time.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1min"),
            (3599, "59min"),
            (3600, "1h 0min"),
            (86_399, "23h 59min"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        let time = of("2026-11-23T10:00:00Z").unwrap();
        assert_eq!((utc(time).as_str(), of("n/a")), ("2026-11-23T10:00:00Z", None));
    }

    #[test]
    fn both_forms_of_a_time() {
        let text = utc_of_unix("@1795428000\n").unwrap();
        assert_eq!(text, "2026-11-23T10:00:00Z");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(in_zone(text.parse().unwrap(), zone), "2026-11-23 12:00:00");
        assert_eq!(local_of("yesterday"), "yesterday");
        assert_eq!((utc_of_unix("n/a"), utc_of_unix("")), (None, None));
    }
}
