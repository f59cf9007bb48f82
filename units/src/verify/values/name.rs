//! Names of signals, architectures, hosts, interfaces and users, and IDs.

use super::super::finding::Problem;
use super::number::{signed, uid};

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of real-time signals of glibc, less one.
const REAL_TIME: i32 = 30;

/// Checks the name or number of a signal.
pub(super) fn signal(value: &str, systemd: u32) -> Result<(), Problem> {
    if let Some(number) = signed(value, systemd) {
        let known = (1..65).contains(&number);
        return if known { Ok(()) } else { Err(Problem::of(value, "is not a signal (1 to 64)")) };
    }
    let name = value.strip_prefix("SIG").unwrap_or(value);
    let real_time = |end: &str, sign: char, range: std::ops::RangeInclusive<i32>| match end {
        "" => true,
        _ => end.starts_with(sign) && signed(end, systemd).is_some_and(|number| range.contains(&number)),
    };
    if SIGNALS.contains(&name)
        || name.strip_prefix("RTMIN").is_some_and(|end| real_time(end, '+', 0..=REAL_TIME))
        || name.strip_prefix("RTMAX").is_some_and(|end| real_time(end, '-', -REAL_TIME..=0))
    {
        return Ok(());
    }
    let problem = Problem::of(value, "is not a signal").among(name, SIGNALS.into_iter().chain(["RTMIN+3"]));
    Err(Problem { meant: problem.meant.as_ref().map(|name| format!("SIG{name}")), ..problem })
}

/// Checks the name of an architecture: systemd takes that of the host, and the 32-bit one beside it.
pub(super) fn personality(value: &str, host: &str) -> Result<(), Problem> {
    let known: &[&str] = match host {
        "x86_64" => &["x86-64", "x86"],
        "x86" => &["x86"],
        "aarch64" => &["arm64", "arm"],
        "arm" => &["arm"],
        "powerpc64" if cfg!(target_endian = "little") => &["ppc64-le", "ppc-le"],
        "powerpc64" => &["ppc64", "ppc"],
        "s390x" => &["s390x", "s390"],
        "riscv64" => &["riscv64"],
        "loongarch64" => &["loongarch64"],
        // Not known here.
        _ => return Ok(()),
    };
    if known.contains(&value) {
        return Ok(());
    }
    let reason = format!("is not an architecture of this host ({})", known.join(", "));
    Err(Problem::of(value, &reason).among(value, known.iter().copied()))
}

/// The first systemd that takes UUIDs with a `urn:uuid:` before them.
const UUID_PREFIX: u32 = 262;

/// Checks 128 bits: 32 hexadecimal digits, or a UUID.
pub(super) fn id128(value: &str, systemd: u32) -> Result<(), Problem> {
    const PREFIX: &str = "urn:uuid:";
    let known = systemd >= UUID_PREFIX;
    let start = value.get(..PREFIX.len()).filter(|start| known && start.eq_ignore_ascii_case(PREFIX));
    let text = if start.is_some() { &value[PREFIX.len()..] } else { value };
    let dashes = [8, 13, 18, 23];
    let good = if start.is_some() || text.contains('-') {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match dashes.contains(&at) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            })
    } else {
        text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match good {
        true if text.bytes().all(|byte| matches!(byte, b'0' | b'-')) => {
            Err(Problem::of(value, "is all zero"))
        }
        true => Ok(()),
        false => Err(Problem::of(value, "is neither 32 hexadecimal digits nor a UUID")),
    }
}

/// Checks a host name.
pub(super) fn hostname(value: &str) -> Result<(), Problem> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if value.len() <= 64 && value.split('.').all(label) {
        return Ok(());
    }
    Err(Problem::of(value, "is not a host name (at most 64 letters, digits, '-' and '.')"))
}

/// Checks the name of a network interface.
pub(super) fn interface(value: &str, systemd: u32) -> Result<(), Problem> {
    if is_interface(value, systemd) { Ok(()) } else { Err(no_interface(value)) }
}

/// Checks what follows `vz-` in the name of a bridge.
pub(super) fn zone(value: &str, systemd: u32) -> Result<(), Problem> {
    if is_interface(&format!("vz-{value}"), systemd) {
        return Ok(());
    }
    Err(Problem::of(value, "is not the name of a zone (at most 12 characters)"))
}

/// Returns what is wrong with the name of an interface.
pub(super) fn no_interface(name: &str) -> Problem {
    let reason = if name.len() > 15 {
        "is longer than the 15 bytes of an interface's name"
    } else {
        "is not the name of an interface"
    };
    Problem::of(name, reason)
}

/// Returns whether systemd takes this for the name of an interface (`ifname_valid()`).
pub(super) fn is_interface(name: &str, systemd: u32) -> bool {
    let good = |byte: u8| byte > b' ' && byte < 127 && !b":/%".contains(&byte);
    (1..=15).contains(&name.len())
        && signed(name, systemd).is_none_or(|index| index <= 0)
        && !matches!(name, "." | ".." | "all" | "default")
        && name.bytes().all(good)
        && !name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether systemd takes this for the name of a user (`valid_user_group_name()`).
pub(super) fn is_user(name: &str) -> bool {
    name.len() <= 31
        && uid(name).is_none()
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals() {
        for value in ["SIGTERM", "TERM", "15", "RTMIN+3", "SIGRTMAX-30", "0xf"] {
            assert_eq!(signal(value, 262), Ok(()), "{value}");
        }
        for value in ["", "0", "65", "term", "RTMIN+31", "RTMIN3", "RTMAX+1", "SIGSIGTERM"] {
            assert!(signal(value, 262).is_err(), "{value}");
        }
        assert_eq!(signal("SIGTREM", 262).unwrap_err().meant.as_deref(), Some("SIGTERM"));
    }

    #[test]
    fn ids() {
        for value in ["0123456789abcdef0123456789ABCDEF", "urn:UUID:01234567-89ab-cdef-0123-456789abcdef"] {
            assert_eq!(id128(value, 262), Ok(()), "{value}");
        }
        for value in ["", "0", &"0".repeat(32), "0123456-789abcdef0123-456789-abcdef00", "é"] {
            assert!(id128(value, 262).is_err(), "{value}");
        }
    }

    #[test]
    fn interfaces() {
        let is_interface = |name: &str| is_interface(name, 262);
        assert!(["eth0", "a.b", "0a", "-5", "vz-"].into_iter().all(is_interface));
        assert!(
            !["", "1", "0", "99999999999", "0x10", "all", "a/b", "a b", "é", "sixteen-letters0"]
                .into_iter()
                .any(is_interface)
        );
        assert!(id128("urn:uuid:01234567-89ab-cdef-0123-456789abcdef", 261).is_err());
        assert!(personality("x86", "x86_64").is_ok() && personality("x86", "aarch64").is_err());
    }
}
