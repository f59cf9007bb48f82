//! Mounts (`nspawn-mount.c`).

use super::super::finding::Problem;
use super::path::absolute;
use super::split::split;
use systemd_unit_syntax::words;

/// Checks `source[:destination[:options]]`.
pub(super) fn bind(value: &str) -> Result<(), Problem> {
    let fields = split(words::bind_fields(value))?;
    source_or_none(&fields.source)?;
    match fields.destination.as_deref() {
        Some("") => Err(Problem::new("has an empty destination")),
        Some(destination) => absolute(destination),
        None if fields.source.is_empty() => Err(Problem::new("is empty, which resets nothing")),
        None => absolute(fields.source.strip_prefix('+').unwrap_or(&fields.source)),
    }
}

/// Checks `path[:options]`.
pub(super) fn tmpfs(value: &str) -> Result<(), Problem> {
    absolute(&split(words::first_field(value))?.0)
}

/// Checks `lower[:lower…]:upper[:destination]`.
pub(super) fn overlay(value: &str) -> Result<(), Problem> {
    let fields = split(words::fields(value))?;
    match fields.as_slice() {
        [] | [_] => Err(Problem::of(value, "has no upper directory, as in 'lower:upper'")),
        [lower, upper] => source(lower).and_then(|()| source(upper)),
        [lower @ .., upper, destination] => {
            lower.iter().try_for_each(|lower| source(lower))?;
            source_or_none(upper)?;
            absolute(destination)
        }
    }
}

/// Checks a path on the host, or with a `+` in the container.
fn source(path: &str) -> Result<(), Problem> {
    if path.is_empty() { Err(Problem::new("has an empty path")) } else { source_or_none(path) }
}

/// Checks a source that may be left out.
fn source_or_none(path: &str) -> Result<(), Problem> {
    path.strip_prefix('+').map_or(Ok(()), absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        for value in ["/a", "/a:/b", "/a:/b:ro,x", ":/b", "a:/b", "+/a", r"/a\:b:/c"] {
            assert_eq!(bind(value), Ok(()), "{value}");
        }
        for value in ["", "a", "/a:", "/a:b", "+a:/b", r"/a\"] {
            assert!(bind(value).is_err(), "{value}");
        }
        for value in ["a:b", "+/a:/b", "/a:/b:/c", "/a::/c", "/a:/b:+/c:/d"] {
            assert_eq!(overlay(value), Ok(()), "{value}");
        }
        for value in ["", "/a", "/a:", ":/b", "/a:/b:c", "::/c", "/a:/b:"] {
            assert!(overlay(value).is_err(), "{value}");
        }
    }
}
