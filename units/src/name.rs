//! Names that systemd and the kernel restrict: machines, network interfaces, zones, credentials. Host-side interface
//! names are computed as nspawn computes them.
//!
//! ```
//! use nixos_nspawn_units::name::MachineName;
//!
//! assert_eq!("web".parse::<MachineName>()?.as_str(), "web");
//! assert!("../web".parse::<MachineName>().is_err());
//! # Ok::<(), nixos_nspawn_units::invalid::Invalid>(())
//! ```

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::invalid::Invalid;
use crate::string_type::string_type;

string_type! {
    /// The name of a container: a machine name of systemd (`hostname_is_valid()`) that does not clash with nspawn's own
    /// files. Unit names need no escaping for it.
    MachineName, check_machine_name, r"^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$"
}

fn check_machine_name(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::new(text, format!("is not a machine name: {reason}")));
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text == ".host" {
        return refuse("systemd uses it for the host");
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '.') {
        return refuse(&format!(
            "it may contain only letters, digits, '-' and '.', not '{}'",
            bad.escape_debug()
        ));
    }
    if text.len() > 64 {
        return refuse("it is longer than 64 characters");
    }
    if text.split('.').any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-')) {
        return refuse("'.' and '-' may not be at an end, next to '.' or doubled");
    }
    // nspawn treats directories with these suffixes as images, version directories, layer stacks, or its settings file.
    if let Some(ending) = [".raw", ".v", ".mstack", ".nspawn"].iter().find(|ending| text.ends_with(**ending))
    {
        return refuse(&format!("systemd gives '{ending}' a meaning of its own"));
    }
    // GC roots are called NAME, NAME-running and NAME-pin-N: no name may look like another container's link.
    let pinned =
        text.rsplit_once("-pin-").is_some_and(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
    if text.ends_with("-running") || pinned {
        return refuse("nixos-nspawn uses '-running' and '-pin-NUMBER' at the end for its GC roots");
    }
    if text == "host" {
        return refuse("host.json is reserved for facts about the host");
    }
    Ok(())
}

string_type! {
    /// The name of a network interface: 1–15 bytes, no blank, `/`, `:` or `%`, not only digits.
    InterfaceName, check_interface_name, r#"^[^\s/:%\\"']{1,15}$"#
}

fn check_interface_name(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::new(text, format!("is not an interface name: {reason}")));
    if text.is_empty() || text.len() > 15 {
        return refuse("it must have 1 to 15 characters");
    }
    // The kernel also takes backslashes and quotes, but systemd's settings cannot hold them safely.
    if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['/', ':', '%', '\\', '"', '\'']) {
        return refuse("it must not contain blanks, quotes, '/', ':', '%' or '\\'");
    }
    if matches!(text, "." | ".." | "all" | "default") || text.bytes().all(|b| b.is_ascii_digit()) {
        return refuse("it is reserved");
    }
    if is_number(text) {
        return refuse("systemd reads it as a number");
    }
    Ok(())
}

/// Returns whether systemd reads a name as the index of an interface (`parse_ifindex()`, `safe_atoi()`).
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let of_base = |prefix: &str, base: u32| {
        let rest = digits.get(..2).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &digits[2..]);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    decimal || of_base("0x", 16) || of_base("0o", 8) || of_base("0b", 2)
}

string_type! {
    /// A zone (`Zone=` of `systemd.nspawn(5)`): its bridge is called `vz-` and the name, so at most 12 bytes.
    ZoneName, check_zone_name, r#"^[^\s/:%\\"']{1,12}$"#
}

fn check_zone_name(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > 12 {
        return Err(Invalid::new(text, "is not a zone name: it must have 1 to 12 characters"));
    }
    check_interface_name(&["vz-", text].concat()).map_err(|_| {
        Invalid::new(text, "is not a zone name: it must not contain blanks, quotes, '/', ':', '%' or '\\'")
    })
}

string_type! {
    /// The id of a credential (`LoadCredential=` of `systemd.exec(5)`): a file name without `:`.
    CredentialId, check_credential_id, r"^[!#%&(-.0-9;-\[\]-~]{1,255}$"
}

fn check_credential_id(text: &str) -> Result<(), Invalid> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"/:\\\"'$".contains(&b));
    if text.is_empty() || text.len() > 255 || matches!(text, "." | "..") || !plain {
        return Err(Invalid::new(
            text,
            "is not a credential id (printable ASCII without blanks, quotes and / : \\ $)",
        ));
    }
    Ok(())
}

/// Returns the name that nspawn gives an interface: `prefix` is `ve-` or `vb-` for a machine's name, `mv-` or `iv-` for
/// that of a host's interface. A name longer than 15 bytes becomes the first 11 and four characters of a hash
/// (`net_shorten_ifname()`, src/shared/netif-util.c).
pub fn shortened(prefix: &str, name: &str) -> String {
    const KEY: [u8; 16] =
        [0xe1, 0x90, 0xa4, 0x04, 0xa8, 0xef, 0x4b, 0x51, 0x8c, 0xcc, 0xc3, 0x3a, 0x9f, 0x11, 0xfc, 0xa2];
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let full = [prefix, name].concat();
    if full.len() <= 15 {
        return full;
    }
    let mut hasher = SipHasher24::new_with_key(&KEY);
    hasher.write(full.as_bytes());
    let hash = hasher.finish();
    // All of them are ASCII, so any byte is a character boundary.
    let mut short: String = full.chars().take(11).collect();
    for shift in [18, 12, 6, 0] {
        short.push(char::from(ALPHABET[(hash >> shift) as usize & 63]));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_names() {
        for good in ["a", "web", "db.internal", "A-1", &"a".repeat(64), "raw", "my.v2"] {
            assert!(good.parse::<MachineName>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "a_b",
            "a/b",
            "..",
            ".host",
            "a..b",
            "-a",
            "a-",
            "a.-b",
            "x.raw",
            "x.v",
            "x.mstack",
            "x.nspawn",
            "host",
            "x-running",
            "x-pin-2",
            "é",
            "a b",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(bad.parse::<MachineName>().is_err(), "{bad:?}");
        }
    }

    // Vectors seen live on systemd 252 and 257.
    #[test]
    fn shortened_interface_names() {
        let short = |prefix, name| shortened(prefix, name);
        assert_eq!(short("ve-", "web"), "ve-web");
        assert_eq!(short("ve-", "twelve-chars"), "ve-twelve-chars");
        assert_eq!(short("ve-", "thirteen-char"), "ve-thirteenvixq");
        assert_eq!(short("vb-", "thirteen-char"), "vb-thirteenCu_B");
        assert_eq!(short("ve-", "averylongcontainername"), "ve-averylonWI9H");
        assert_eq!(short("vb-", "database-primary.example"), "vb-databaseTOBy");
        assert_eq!(short("ve-", &"a".repeat(64)), "ve-aaaaaaaaVDBR");
    }

    #[test]
    fn interface_and_zone_names() {
        for bad in [
            "",
            "sixteen-letters-",
            "a/b",
            "a:b",
            "a%b",
            "a b",
            "12",
            "0x1f",
            "+5",
            "0b1",
            "all",
            "default",
            ".",
        ] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad:?}");
        }
        for good in ["br0", "0x1g", "0x", "1-2", "0b2"] {
            assert!(good.parse::<InterfaceName>().is_ok(), "{good:?}");
        }
        assert!("twelve-chars".parse::<ZoneName>().is_ok());
        assert!("thirteen-char".parse::<ZoneName>().is_err());
        assert!("1".parse::<ZoneName>().is_ok());
    }
}
