//! Paths (`path-util.c`, `parse-helpers.c`).

use super::super::finding::Problem;
use super::split::split;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::words;

/// The longest path that Linux takes, with its NUL.
const PATH_MAX: usize = 4096;

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// Checks a path that must be absolute; anything else is allowed.
pub(super) fn absolute(value: &str) -> Result<(), Problem> {
    if value.starts_with('/') { Ok(()) } else { Err(Problem::of(value, "is not an absolute path")) }
}

/// Checks a path that systemd simplifies first: slashes may be doubled, and `.` may be a component.
pub(super) fn simple(value: &str) -> Result<(), Problem> {
    absolute(value)?;
    let parts = value.split('/').filter(|part| !matches!(*part, "" | "."));
    // At the root, `..` leads nowhere else.
    let parts: Vec<&str> = parts.skip_while(|part| *part == "..").collect();
    if parts.iter().any(|part| part.len() > NAME_MAX)
        || parts.iter().map(|part| part.len() + 1).sum::<usize>() >= PATH_MAX
    {
        return Err(Problem::of(value, "is longer than Linux allows"));
    }
    if parts.contains(&"..") {
        return Err(Problem::of(value, "has a '..' component"));
    }
    Ok(())
}

/// Checks a path that must be written without anything superfluous.
fn normalized(value: &str) -> Result<(), Problem> {
    absolute(value)?;
    if value.split('/').any(|part| part.len() > NAME_MAX) || value.len() >= PATH_MAX {
        return Err(Problem::of(value, "is longer than Linux allows"));
    }
    let mut parts = value.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            ".." => return Err(Problem::of(value, "has a '..' component")),
            "." => return Err(Problem::of(value, "has a '.' component")),
            "" if !last => return Err(Problem::of(value, "has two slashes in a row")),
            _ => {}
        }
    }
    Ok(())
}

/// Checks `new[:old]`.
pub(super) fn pivot_root(value: &str) -> Result<(), Problem> {
    let (new, old) = split(words::first_field(value))?;
    normalized(&new)?;
    old.filter(|old| !old.is_empty()).map_or(Ok(()), normalized)
}

/// Checks a path or a boolean.
pub(super) fn shell(value: &str) -> Result<(), Problem> {
    if parse_boolean(value).is_some() || normalized(value).is_ok() {
        return Ok(());
    }
    Err(Problem::of(value, "is neither a boolean nor an absolute path without '.', '..' and doubled slashes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for value in ["/", "/a/./b//", "/../a"] {
            assert_eq!(simple(value), Ok(()), "{value}");
        }
        for value in ["a", "/a/../b", &format!("/{}", "a".repeat(256))] {
            assert!(simple(value).is_err(), "{value}");
        }
        for value in ["/a", "/a/", "/a:/b", "/a:"] {
            assert_eq!(pivot_root(value), Ok(()), "{value}");
        }
        for value in ["", "a", "/a//b", "/a/.", "/a/..", "/a:b", "/a:/b/./c"] {
            assert!(pivot_root(value).is_err(), "{value}");
        }
    }
}
