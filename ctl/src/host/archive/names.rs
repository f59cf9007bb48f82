//! Names in an archive, which somebody else may have written: of entries, and of extended attributes. Pure.

/// Returns the path of an entry relative to the state, empty for the state itself; `None` if the name leads elsewhere.
pub(crate) fn in_state(name: &[u8]) -> Option<&[u8]> {
    let rest = name.strip_prefix(super::STATE.as_bytes())?;
    if rest.is_empty() || rest == b"/" {
        return Some(b"");
    }
    let path = rest.strip_prefix(b"/")?;
    let path = path.strip_suffix(b"/").unwrap_or(path);
    is_plain(path).then_some(path)
}

/// Returns whether a path is relative and has only plain names.
fn is_plain(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|name| {
        !name.is_empty() && name.len() <= 255 && name != b"." && name != b".." && !name.contains(&0)
    })
}

/// Returns whether an extended attribute is part of an archive: what containers set, and access control lists. Labels of
/// the host's security module are not.
pub(super) fn is_carried(attribute: &str) -> bool {
    let whole = ["security.capability", "system.posix_acl_access", "system.posix_acl_default"];
    whole.contains(&attribute)
        || ["user.", "trusted."]
            .iter()
            .any(|prefix| attribute.len() > prefix.len() && attribute.starts_with(prefix))
}

/// The prefix of the record of an extended attribute, as libarchive writes it: the name with `%` escapes, the value in
/// base64. Values in other forms may contain line breaks, which end a record for many programs.
const ATTRIBUTE: &str = "LIBARCHIVE.xattr.";

/// Returns the key of an extended attribute's record.
pub(super) fn attribute_key(name: &str) -> String {
    let mut key = ATTRIBUTE.to_owned();
    for byte in name.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' && byte != b'=' => key.push(char::from(byte)),
            _ => key.push_str(&format!("%{byte:02X}")),
        }
    }
    key
}

/// Returns the extended attribute of a record's key, if it is one and carried.
pub(super) fn attribute_of(key: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut rest = key.strip_prefix(ATTRIBUTE)?.bytes();
    while let Some(byte) = rest.next() {
        name.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(name).ok().filter(|name| is_carried(name) && name.len() <= 255 && !name.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_state() {
        for (name, path) in [
            ("state", Some("")),
            ("state/", Some("")),
            ("state/etc", Some("etc")),
            ("state/etc/", Some("etc")),
            ("state/a b/\u{fc}/...", Some("a b/\u{fc}/...")),
            ("states/etc", None),
            ("etc", None),
            ("/state/etc", None),
            ("state//etc", None),
            ("state/..", None),
            ("state/a/../b", None),
            ("state/./b", None),
            ("state/a//", None),
            ("state/a\0b", None),
        ] {
            assert_eq!(in_state(name.as_bytes()), path.map(str::as_bytes), "{name:?}");
        }
        assert_eq!(in_state(format!("state/{}", "x".repeat(256)).as_bytes()), None);
    }

    #[test]
    fn attributes_have_keys() {
        for name in ["user.mark", "user.a b=%\u{fc}", "security.capability", "system.posix_acl_access"] {
            let key = attribute_key(name);
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'='), "{key}");
            assert_eq!(attribute_of(&key).as_deref(), Some(name));
        }
        for key in [
            "mtime",
            "LIBARCHIVE.xattr.security.selinux",
            "LIBARCHIVE.xattr.user.%zz",
            "LIBARCHIVE.xattr.user.",
        ] {
            assert_eq!(attribute_of(key), None, "{key}");
        }
    }
}
